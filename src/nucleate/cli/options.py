"""Options that several verbs share, each written once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nucleate.errors import UserError

Seed = Annotated[int, typer.Option(help="Equal seeds give equal crystals.", min=0)]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.", metavar="DEVICE")]
Guidance = Annotated[
    list[str] | None,
    typer.Option(
        help="How strongly conditions steer: 1 is the plain conditional model, 0 none. One number for all, or "
        "NAME=NUMBER; repeat for more.",
        metavar="NUMBER|NAME=NUMBER",
    ),
]
Sampler = Annotated[
    str,
    typer.Option(
        help="default, paper (the published one), or settings to change, such as steps=50,temperature=1.",
        metavar="default|paper|NAME=VALUE,...",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable result on standard output.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run in the output folder.")]
Workers = Annotated[int | None, typer.Option(help="Worker processes for relaxation; all cores by default.", min=1)]
Where = Annotated[
    list[str] | None,
    typer.Option(
        help="A condition; repeat for more: chemical_system=Li-O, composition=LiFePO4, n_atoms=4..12, "
        "space_group=225 or Fm-3m, or a property that the model knows, such as band_gap=0.5..3.",
        metavar="NAME=VALUE",
    ),
]
AllowSubsystems = Annotated[
    bool, typer.Option("--allow-subsystems", help="Elements of the chemical system may be missing.")
]
Structures = Annotated[Path, typer.Argument(help="CIF, folder or zip of CIFs, extxyz, Parquet, CSV with a cif column.")]

Potential = Annotated[
    str,
    typer.Option(
        help="chgnet, mace, mattersim, orb, sevenn, ase:emt, or an ASE calculator as module:Class; keyword arguments "
        "behind commas: mace,model=medium.",
        metavar="NAME[,KEY=VALUE...]",
        rich_help_panel="Screening",
    ),
]
Python = Annotated[
    str | None,
    typer.Option(
        "--python",
        help="Interpreter of another environment, which runs the potential there.",
        metavar="PATH",
        rich_help_panel="Screening",
    ),
]
Reference = Annotated[
    str, typer.Option(help="bundled, or a reference built by `nucleate data reference`.", rich_help_panel="Screening")
]
Protocol = Annotated[
    str,
    typer.Option(
        help="Count as a published work does, and say where that is not possible: mattergen, pigen, lemat, wyformer.",
        metavar="NAME",
        rich_help_panel="Screening",
    ),
]
Matcher = Annotated[
    str | None,
    typer.Option(
        help="When two crystals are the same: ordered, or disordered, where orderings of one alloy are.",
        metavar="ordered|disordered",
        show_default="ordered, or the protocol's",
        rich_help_panel="Screening",
    ),
]
StableWithin = Annotated[
    float | None,
    typer.Option(
        help="Stable up to this energy above the hull, eV/atom.",
        show_default="0.1, or the protocol's",
        rich_help_panel="Screening",
    ),
]
Descriptors = Annotated[
    str | None,
    typer.Option(
        help="Columns that describe each structure as it came: all, cheap, none, or NAME,...",
        show_default="cheap, and what the protocol needs",
        metavar="all|cheap|none|NAME,...",
        rich_help_panel="Screening",
    ),
]
Funnel = Annotated[
    str,
    typer.Option(
        help="Filters to count in sequence and alone: none, pigen, sun, or a TOML or JSON file of filters.",
        metavar="none|pigen|sun|FILE",
        rich_help_panel="Screening",
    ),
]
Threshold = Annotated[
    list[str] | None,
    typer.Option(
        help="Another threshold for a filter of the funnel; repeat for more: m_led=8, compactness=0.5..0.9.",
        metavar="NAME=VALUE",
        rich_help_panel="Screening",
    ),
]
Fmax = Annotated[
    float | None,
    typer.Option(help="Largest force at convergence, eV/Å.", show_default="0.05", rich_help_panel="Screening"),
]
MaxSteps = Annotated[
    int | None, typer.Option(help="Steps of a relaxation.", show_default="500", rich_help_panel="Screening")
]
MaxSeconds = Annotated[float, typer.Option(help="Seconds for a relaxation.", rich_help_panel="Screening")]
DrawBelow = Annotated[
    float | None,
    typer.Option(
        help="Before relaxing, draw each crystal until it lies, as it comes, at most so many eV/atom above the hull "
        "and is no repeat; up to ten times, then the lowest. 0.1 is a good choice for models that come near their "
        "relaxed structures; a comparison leaves searchers as they are.",
        metavar="ENERGY",
    ),
]
Labels = Annotated[
    str,
    typer.Option(
        help="Candidates to relax: all, those of distinct protostructures, or of those that are also new to the "
        "reference.",
        metavar="all|distinct|new",
        rich_help_panel="Screening",
    ),
]
ChunkSize = Annotated[
    int, typer.Option(help="Candidates in one shard; part of what makes equal bytes.", rich_help_panel="Screening")
]


def assignments(items: list[str] | None) -> dict[str, str]:
    """Settings from ``NAME=VALUE`` texts.

    Raises:
        UserError: A text is none.
    """
    settings = {}
    for item in items or ():
        name, separator, value = item.partition("=")
        if not separator:
            raise UserError("--set", repr(item), "NAME=VALUE")
        settings[name] = value
    return settings
