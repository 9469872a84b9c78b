"""Settings of the commands: one class a command.

The command line, the signatures of ``nucleate.design(...)`` and its like, and their help are made from these classes.
A run keeps them as they were used.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field

from nucleate.options import (
    SCREENING,
    Cells,
    CommandSettings,
    DeviceOption,
    DrawBelow,
    Model,
    Names,
    Option,
    Overrides,
    Potential,
    Python,
    Sampler,
    Seed,
    Where,
    Without,
    files_by_name,
    no_conditions,
    symbols,
)


class ScreenSettings(CommandSettings):
    """How structures are relaxed, placed on the hull and compared."""

    seed: Seed = 0
    potential: Potential = "chgnet"
    python: Python = None
    reference: Annotated[
        str,
        Option(panel=SCREENING),
        Field(min_length=1, description="mp, bundled, or one built by `nucleate data reference`."),
    ] = "mp"
    protocol: Annotated[
        str,
        Option(metavar="NAME", panel=SCREENING),
        Field(
            description="Count as a published work does, and say where that is not possible: mattergen, pigen, lemat, "
            "wyformer."
        ),
    ] = "none"
    matcher: Annotated[
        Literal["ordered", "disordered"] | None,
        Option(metavar="ordered|disordered", default="ordered, or the protocol's", panel=SCREENING),
        Field(description="When two crystals are the same: ordered, or disordered, where orderings of one alloy are."),
    ] = None
    stable_within: Annotated[
        float,
        Option(default="0.1, or the protocol's", panel=SCREENING),
        Field(ge=0, description="Stable up to this energy above the hull, eV/atom."),
    ] = 0.1
    descriptors: Annotated[
        str,
        Option(metavar="all|cheap|none|NAME,...", default="cheap, and what the protocol needs", panel=SCREENING),
        Field(description="Columns that describe each structure as it came: all, cheap, none, or NAME,..."),
    ] = "cheap"
    funnel: Annotated[
        str,
        Option(metavar="none|pigen|sun|FILE", panel=SCREENING),
        Field(
            min_length=1,
            description="Filters to count in sequence and alone: none, pigen, sun, or a TOML or JSON file of filters.",
        ),
    ] = "none"
    thresholds: Annotated[
        Names,
        Option("--threshold", metavar="NAME=VALUE", panel=SCREENING),
        Field(
            description="Another threshold for a filter of the funnel; repeat for more: m_led=8, compactness=0.5..0.9."
        ),
    ] = ()
    fmax: Annotated[
        float, Option(default="0.05", panel=SCREENING), Field(gt=0, description="Largest force at convergence, eV/Å.")
    ] = 0.05
    max_steps: Annotated[
        int, Option(default="500", panel=SCREENING), Field(ge=1, description="Steps of a relaxation.")
    ] = 500
    max_seconds: Annotated[float, Option(panel=SCREENING), Field(gt=0, description="Seconds for a relaxation.")] = 60.0
    labels: Annotated[
        Literal["all", "distinct", "new"],
        Option(metavar="all|distinct|new", panel=SCREENING),
        Field(
            description="Candidates to relax: all, those of distinct protostructures, or of those that are also new to "
            "the reference."
        ),
    ] = "all"
    chunk_size: Annotated[
        int,
        Option(panel=SCREENING),
        Field(ge=1, le=10_000, description="Candidates in one shard; part of what makes equal bytes."),
    ] = 32
    rattle: bool = Field(default=True, description="Displace by 0.03 Å and strain by 1 % first.")
    settle: bool = Field(default=True, description="Move onto symmetry that costs at most 1 meV/atom afterwards.")
    symprec: float = Field(default=0.1, gt=0, description="Tolerance of symmetry, Å.")

    def without_relaxation(self) -> Self:
        """The same for structures that are relaxed already: one evaluation each, any force will do."""
        return self.model_copy(update={"fmax": inf, "max_steps": 1, "rattle": False, "settle": False})

    @property
    def relaxation(self) -> str:
        """The relaxation protocol in words."""
        if self.fmax == inf:
            return "none (structures as given)"
        text = f"relax-v1: fmax {self.fmax:g} eV/Å, at most {self.max_steps} steps and {self.max_seconds:g} s"
        text += ", start rattled by 0.03 Å and 1 % strain" if self.rattle else ""
        return text + (", then moved onto symmetry that costs at most 1 meV/atom" if self.settle else "")


class EvaluateSettings(CommandSettings):
    """How a set of structures is measured."""

    relax: Annotated[
        bool | None,
        Option("--relax/--no-relax", default="relax, or as the protocol has it"),
        Field(description="Without: take the structures as relaxed already."),
    ] = None
    screen: ScreenSettings = ScreenSettings()


class RequestSettings(CommandSettings):
    """Request to generators."""

    n: Annotated[int, Option("-n"), Field(ge=1, le=10_000_000, description="How many crystals.")] = 16
    allow_subsystems: Annotated[
        bool, Option(), Field(description="Elements of the chemical system may be missing.")
    ] = False
    where: Annotated[
        Where,
        Option(metavar="NAME=VALUE"),
        Field(
            description="A condition; repeat for more: chemical_system=Li-O, composition=LiFePO4, n_atoms=4..12, "
            "space_group=225 or Fm-3m, or a property that the model knows, such as band_gap=0.5..3."
        ),
    ] = Field(default_factory=no_conditions)
    guidance: Annotated[
        Names,
        Option(metavar="NUMBER|NAME=NUMBER"),
        Field(
            description="How strongly conditions steer: 1 is the plain conditional model, 0 none. One number for all, "
            "or NAME=NUMBER; repeat for more."
        ),
    ] = ()
    sampler: Sampler = "default"
    device: DeviceOption = "auto"


class GenerateSettings(RequestSettings):
    """Request to one generator."""

    model: Model
    seed: Seed = 0


class DesignSettings(RequestSettings):
    """Request to one generator, and how its crystals are screened."""

    model: Model
    draw_below: DrawBelow = None
    screen: ScreenSettings = ScreenSettings()


class ExploreSettings(RequestSettings):
    """The chemical system that is explored, and with what."""

    system: Annotated[str, Option(positional=True), Field(description="The chemical system, such as V-Sr-O.")]
    models: Annotated[
        Names,
        Option("--model", default="pigen-mp, random and substitution"),
        Field(description="A model or searcher; repeat for more."),
    ] = ("pigen-mp", "random", "substitution")
    n: Annotated[int, Option("-n"), Field(ge=1, le=10_000_000, description="How many crystals of each.")] = 64
    draw_below: DrawBelow = None
    screen: ScreenSettings = ScreenSettings()


class MagnetSettings(RequestSettings):
    """Which magnets are looked for where, and how they are evaluated."""

    models: Annotated[
        Names,
        Option("--model", default="the shipped models of the magnet papers"),
        Field(description="A model, its folder, or a searcher; repeat for more."),
    ] = ()
    structures: Annotated[
        Path | None,
        Option(),
        Field(description="Structures of any origin in place of models: a file, or the folder of a run."),
    ] = None
    n: Annotated[int, Option("-n"), Field(ge=1, le=10_000_000, description="How many crystals of each model.")] = 1000
    elements: Annotated[
        tuple[str, ...],
        BeforeValidator(symbols),
        Option(metavar="Fe,Co,...", default="H to Xe, Z ≤ 54", text=True),
        Field(description="Elements that are allowed, by commas."),
    ] = ()
    predictor: Annotated[
        str,
        Option(default="the shipped one"),
        Field(
            min_length=1,
            description="Network of formation energy and magnetisation, asked before relaxation; none for none.",
        ),
    ] = "none"
    data: Annotated[
        Path | None,
        Option(),
        Field(description="Known crystals with labels: their compositions are not new, the base rate is theirs."),
    ] = None
    magnetization: Annotated[
        Literal["auto", "network", "moments"],
        Option(metavar="network|moments", default="network where there is one"),
        Field(description="What counts after relaxation: the network's answer, or the sum of CHGNet's moments."),
    ] = "auto"
    thresholds: Annotated[
        Names,
        Option("--threshold", metavar="NAME=VALUE"),
        Field(description="Another threshold for a step: predicted_magnetization=0.8, hull=0.1, uniaxial=16..194."),
    ] = ()
    symmetrize: Annotated[
        float,
        Option(),
        Field(
            ge=0,
            le=0.3,
            description="Move crystals that only low symmetry stops onto the one they have within so many Å. They "
            "count where the matcher calls them the same and they relax no higher.",
        ),
    ] = 0.0
    cells: Cells = 2
    screen: ScreenSettings = ScreenSettings()


class CompareSettings(CommandSettings):
    """Models and files that are compared, and how they are measured."""

    models: Annotated[
        Names,
        Option(positional=True),
        Field(description="Models, model folders and searchers; all that ship, random and substitution by default."),
    ] = ()
    files: Annotated[
        Mapping[str, Path],
        BeforeValidator(files_by_name),
        Option("--file", metavar="NAME=PATH"),
        Field(default_factory=dict, description="Structures from elsewhere, under a name; repeat for more."),
    ]
    n: Annotated[int, Option("-n"), Field(ge=1, le=10_000_000, description="How many crystals of each.")] = 256
    references: Annotated[
        Names,
        Option("--reference", default="mp", panel=SCREENING),
        Field(
            min_length=1,
            description="mp, bundled, or one built by `nucleate data reference`. Repeat for more: they judge the "
            "same relaxations.",
        ),
    ] = ("mp",)
    per_request: Annotated[
        int | None,
        Option(default="50, or -n if that is fewer"),
        Field(ge=0, description="Crystals of each of a fixed set of up to twelve requests; 0 leaves them out."),
    ] = None
    data: Annotated[
        Path | None,
        Option(default="those of the reference"),
        Field(description="Structures whose space groups count as the data's."),
    ] = None
    sampler: Sampler = "default"
    draw_below: DrawBelow = None
    device: DeviceOption = "auto"
    screen: Annotated[ScreenSettings, Without(("reference",))] = ScreenSettings(funnel="pigen")


class WyckoffSettings(CommandSettings):
    """The protostructure that is filled, and how hard that is tried."""

    label: Annotated[
        str,
        Option(positional=True),
        Field(description="A protostructure: formula, Pearson symbol, space group, Wyckoff letters, elements."),
    ]
    n: Annotated[int, Option("-n"), Field(ge=1, le=1000, description="How many different crystals at most.")] = 4
    draws: Annotated[
        int, Option(), Field(ge=1, description="Cells and free coordinates drawn at once; at least 8 for each of -n.")
    ] = 32
    keep: Annotated[
        int, Option(), Field(ge=1, description="Of those, how many the potential looks at; at least 2 for each of -n.")
    ] = 8
    calls: Annotated[
        int, Option(), Field(ge=1, description="Calls of the potential inside the space group, for each 3 crystals.")
    ] = 120
    method: Annotated[
        str,
        Option(metavar="NAME"),
        Field(description="proxy: drawn and improved in batch; pyxtal: PyXtal's random filling."),
    ] = "proxy"
    steps: int = Field(default=30, ge=1, description="Steps of each on the cheap energy.")
    rounds: int = Field(default=3, ge=1, description="Rounds of draws, while no crystal carries the label.")
    relaxed: int = Field(default=3, ge=1, description="How many are relaxed inside the space group.")
    seed: Seed = 0
    potential: Potential = "chgnet"
    python: Python = None


class OrderingsSettings(CommandSettings):
    """Which magnetic orderings are written."""

    cells: Cells = 2
    smallest: Annotated[
        float, Option(), Field(ge=0, description="Sites with a smaller moment are not magnetic, µB.")
    ] = 0.1
    potential: Potential = "chgnet"


class PredictSettings(CommandSettings):
    """Model and columns of a prediction."""

    model: Annotated[str, Option(positional=True), Field(description="A predictor, by name or folder.")]
    properties: Annotated[
        Names,
        Option("--property", metavar="COLUMN", default="all of the model"),
        Field(description="A column; repeat for more."),
    ] = ()
    device: DeviceOption = "auto"


class TrainSettings(CommandSettings):
    """Family and data of a training."""

    family: Annotated[
        str,
        Option(positional=True),
        Field(description="The family to train, such as pigen or mattergen; or predictor."),
    ]
    data: Annotated[
        Path,
        Option(positional=True),
        Field(description="CSV or Parquet with a cif column, folder or zip of CIFs, extxyz."),
    ]
    overrides: Overrides
    properties: Annotated[
        Names,
        Option("--property", metavar="COLUMN"),
        Field(description="A column that a predictor learns; repeat for more."),
    ] = ()
    hold_out: Annotated[
        Names,
        Option("--hold-out-system", metavar="SYSTEM"),
        Field(
            description="Learn nothing of a chemical system and its subsystems, to explore it later; repeat for more."
        ),
    ] = ()
    log10: Annotated[bool, Option(), Field(description="A predictor learns logarithms.")] = False
    seed: Seed = 0
    device: DeviceOption = "auto"


class FinetuneSettings(CommandSettings):
    """Which model is taught what, and from which labels."""

    model: Annotated[str, Option(positional=True), Field(description="The model to start from, by name or folder.")]
    data: Annotated[Path, Option("--data"), Field(description="CSV or Parquet with a cif column and the property's.")]
    properties: Annotated[Names, Option("--property"), Field(description="A column; repeat for several at once.")]
    freeze: Annotated[
        bool, Option("--freeze/--full"), Field(description="Train the new adapters alone, or all weights.")
    ] = True
    overrides: Overrides
    seed: Seed = 0
    device: DeviceOption = "auto"


class ReferenceSettings(CommandSettings):
    """Table and structures of which a reference is built."""

    table: Annotated[
        Path,
        Option(positional=True),
        Field(description="CSV or Parquet with formula and formation_energy_per_atom (eV/atom), or structures."),
    ]
    structures: Annotated[
        tuple[Path, ...], Option(), Field(description="Known structures, for novelty alone; repeat for more files.")
    ] = ()
    potential: Potential = "chgnet"
    python: Python = None
