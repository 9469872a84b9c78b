"""Commands at fixed seeds, how they are run, and what is kept of what they print and write.

A case is a list of command lines in an empty folder. They go through the console entry of ``pyproject.toml``, in this
process, since starting an interpreter for each would cost more than the commands. Nothing else of the package is
touched: only standard output with ``--json`` and the files that the commands leave are read.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import importlib
import io
import json
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path
from typing import Any

from summaries import summary_of

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
EXPECTED = HERE / "expected"
VALIDATION = ROOT.parent / "shared" / "data" / "mp" / "val.csv.gz"

SCREENING = "--workers 1 --max-seconds 600 --reference bundled"
"""No time limit that a busy machine could reach, and the reference that the numbers were first recorded with."""
WITHOUT_DEVICE = {"wyckoff", "orderings"}
"""Commands that no graphics card serves; all others are told to leave it alone."""
CSPNET = "--set hidden=24 --set layers=2 --set frequencies=4 --set time_features=8 --set distance_basis=4"
GEMNET = " ".join(
    f"--set gemnet.{name}={value}"
    for name, value in {
        "hidden": 12, "edge": 12, "triplet": 8, "bilinear": 8, "radial": 4, "circular": 4, "blocks": 1,
        "before_skip": 1, "after_skip": 1, "concatenated": 1, "site_layers": 1, "degrees": 3, "n_radial": 8,
        "cutoff": 4, "neighbours": 8,
    }.items()
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """Command lines, and the files they start from.

    Attributes:
        name: Also of the file with the expected numbers.
        commands: One after another; the JSON that each prints is kept.
        given: Writes the files that the commands read.
        needs: A file without which the case cannot run.
        slow: Whether it is left out by default.
    """

    name: str
    commands: tuple[str, ...]
    given: Callable[[Path], None] | None = None
    needs: Path | None = None
    slow: bool = False

    @property
    def expected(self) -> Path:
        """File with the numbers that the case gave when they were last written."""
        return EXPECTED / f"{self.name}.json"


def write_made(folder: Path) -> None:
    """``made.csv``: 120 crystals of four simple types with labels, the same on every machine."""
    halides = {"F": 1.33, "Cl": 1.81, "O": 1.40, "S": 1.84, "N": 1.46}
    metals = {
        "Li": 0.76, "Na": 1.02, "K": 1.38, "Mg": 0.72, "Ca": 1.00, "Sr": 1.18, "Mn": 0.83, "Fe": 0.78, "Co": 0.745,
        "Ni": 0.69, "Zn": 0.74, "Al": 0.54,
    }  # fmt: skip
    types = {
        "rocksalt": lambda d: (2 * d / 2**0.5, 60.0, [(0, 0, 0)], [(0.5, 0.5, 0.5)]),
        "caesium chloride": lambda d: (1.08 * 2 * d / 3**0.5, 90.0, [(0, 0, 0)], [(0.5, 0.5, 0.5)]),
        "zinc blende": lambda d: (0.94 * 4 * d / 6**0.5, 60.0, [(0, 0, 0)], [(0.25, 0.25, 0.25)]),
        "fluorite": lambda d: (0.97 * 4 * d / 6**0.5, 60.0, [(0, 0, 0)], [(0.25, 0.25, 0.25), (0.75, 0.75, 0.75)]),
    }
    rows = []
    for number, (metal, (other, kind)) in enumerate(
        product(metals, [pair for i, pair in enumerate(product(halides, types)) if (i + i // 4) % 2 == 0])
    ):  # 12 metals with 10 pairs of a partner and a type
        edge, angle, first, second = types[kind](metals[metal] + halides[other])
        sites = [(metal, *site) for site in first] + [(other, *site) for site in second]
        rows.append({
            "id": f"made-{number:03d}",
            "cif": _cif(edge, angle, sites),
            "formation_energy": -0.02 * (number * 7 % 101),
            "magnetization": 0.5 * (number * 5 % 9),
            "hardness": 1.0 + 0.25 * (number * 11 % 17),
        })  # fmt: skip
    with (folder / "made.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    with (folder / "few.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, ["id", "cif"], extrasaction="ignore")
        table.writeheader()
        table.writerows(rows[3:120:17] + rows[3:4] + [{"id": "none", "cif": "no crystal"}])


def _cif(edge: float, angle: float, sites: list[tuple]) -> str:
    """A crystal in P1 with three equal edges and angles."""
    cell = [f"_cell_length_{name} {edge:.4f}" for name in "abc"]
    cell += [f"_cell_angle_{name} {angle:.1f}" for name in ("alpha", "beta", "gamma")]
    columns = ["label", "type_symbol", "fract_x", "fract_y", "fract_z"]
    atoms = [f"{element}{i} {element} {x} {y} {z}" for i, (element, x, y, z) in enumerate(sites)]
    loop = ["loop_", *(f"_atom_site_{column}" for column in columns), *atoms]
    return "\n".join(["data_made", "_symmetry_space_group_name_H-M 'P 1'", *cell, *loop, ""])


def write_validation(folder: Path) -> None:
    """The first 50 rows of the Materials Project sample: ``first.csv`` has 12 of them, ``rest.csv`` the others."""
    with gzip.open(VALIDATION, "rt", newline="", encoding="utf-8") as source:
        names, *rows = islice(csv.reader(source), 51)
    for name, part in (("first.csv", rows[:12]), ("rest.csv", rows[12:])):
        with (folder / name).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([names, *part])


def write_magnet(folder: Path) -> None:
    """``magnet.cif``: nickel oxide in the rocksalt structure."""
    sites = [("Ni", 0, 0, 0), ("O", 0.5, 0.5, 0.5)]
    (folder / "magnet.cif").write_text(_cif(2.95, 60.0, sites), encoding="utf-8")


def _generate(name: str, *requests: str, **options: bool) -> Case:
    return Case(f"generate-{name}", tuple(f"generate {request}" for request in requests), **options)


def _train(name: str, command: str, *further: str, slow: bool = False) -> Case:
    return Case(name, (command, *further), given=write_made, slow=slow)


CASES = (
    Case("design", (f"design pigen-mp -n 4 --where chemical_system=Li-Mn-O -o run {SCREENING}",)),
    Case(
        "design-readme",
        ("design pigen-mp -n 16 --where chemical_system=Li-Mn-O -o run --workers 1 --max-seconds 600",),
        slow=True,
    ),
    _generate(
        "diffcsp",
        "diffcsp-mp -n 3 -o any.parquet --sampler steps=8",
        "diffcsp-mp -n 2 -o cubic.extxyz --where space_group=225 --seed 1 --sampler steps=8",
    ),
    _generate(
        "pigen",
        "pigen-mp -n 3 -o any.parquet --sampler steps=8",
        "pigen-mp -n 2 -o dense.csv --where compactness=0.7 --where n_atoms=4..8 --guidance 1.5 --seed 2 "
        "--sampler steps=8",
        "pigen-mp -n 2 -o walk.parquet --sampler steps=6,symmetry=free,corrector_steps=1,draws=1",
        "pigen-mp -n 2 -o second.parquet --sampler steps=6,order=2,churn=0 --where band_gap=0.5..3 --seed 3",
    ),
    _generate("pigen-csp", "pigen-csp-mp -n 3 -o spinel.parquet --where composition=MgAl2O4 --sampler steps=8"),
    _generate(
        "mattergen",
        "mattergen-mp -n 2 -o any.parquet --where n_atoms=2..8 --sampler steps=4",
        "mattergen-mp -n 2 -o hard.parquet --where bulk_modulus=200 --where n_atoms=2..6 --guidance bulk_modulus=2 "
        "--sampler steps=4",
    ),
    _generate(
        "wyckoffdiff",
        "wyckoffdiff-mp -n 3 -o any.parquet",
        "wyckoffdiff-mp -n 2 -o cubic.zip --where space_group=Fm-3m --where chemical_system=Li-O",
    ),
    _generate(
        "diffcrysgen",
        "diffcrysgen-mp -n 3 -o any.parquet --sampler steps=6",
        "diffcrysgen-mp -n 2 -o asked.parquet --where saturation_magnetization=1.2 --sampler steps=6",
    ),
    _generate(
        "maggen",
        "maggen-mp -n 3 -o any.parquet",
        "maggen-mp -n 2 -o magnets.parquet --where saturation_magnetization=1..3",
    ),
    _generate(
        "searchers",
        "random -n 3 -o random.parquet --where chemical_system=Mg-O",
        "substitution -n 3 -o substitution.parquet --where chemical_system=Li-Mn-O",
        "pseudo-random -n 3 -o pseudo.parquet",
    ),
    Case("screen-made", (f"screen few.csv -o run --descriptors all --funnel pigen {SCREENING}",), write_made),
    Case("screen-validation", (f"screen first.csv -o run {SCREENING}",), write_validation, VALIDATION),
    Case("screen-validation-rest", (f"screen rest.csv -o run {SCREENING}",), write_validation, VALIDATION, slow=True),
    Case("evaluate", ("evaluate few.csv --no-relax --workers 1 --reference bundled",), write_made),
    Case(
        "compare",
        (f"compare random substitution --file made=few.csv -n 2 --per-request 0 -o out --max-steps 12 {SCREENING}",),
        write_made,
        slow=True,
    ),
    Case("magnets", (f"magnets --structures made.csv -o hunt --max-steps 60 {SCREENING}",), write_made, slow=True),
    Case("wyckoff", ("wyckoff A2BC4_cF56_227_c_b_e:Al-Mg-O -n 1 --draws 8 --keep 2 -o out --workers 1",)),
    Case(
        "phase-diagram", (f"phase-diagram Mg-O --model random --model substitution -n 2 -o out {SCREENING}",), slow=True
    ),
    _train(
        "train-pigen",
        f"train pigen made.csv -o mine {CSPNET} --set epochs=10 --set batch=8,24 --set sampler.steps=4",
        "generate mine -n 2 -o made.parquet",
    ),
    _train(
        "train-diffcsp",
        f"train diffcsp made.csv -o mine {CSPNET} --set epochs=1 --set sampler.steps=4 --hold-out-system Li-O",
    ),
    _train("train-mattergen", f"train mattergen made.csv -o mine {GEMNET} --set epochs=1 --set sampler.steps=4"),
    _train(
        "train-diffcrysgen",
        "train diffcrysgen made.csv -o mine --set widths=8,12 --set max_atoms=8 --set epochs=2 --set batch=16,16",
    ),
    _train(
        "train-maggen", "train maggen made.csv -o mine --set epochs=1 --set max_atoms=4 --set dense=16 --set latent=8"
    ),
    _train(
        "train-wyckoffdiff",
        "train wyckoffdiff made.csv -o mine --set hidden=16 --set layers=2 --set side=8 --set head=16 --set heads=4 "
        "--set factored=4 --set max_atoms=12 --set max_count=12 --set epochs=1",
    ),
    _train(
        "train-predictor",
        "train predictor made.csv --property hardness -o mine --set hidden=8 --set edge=8 --set blocks=1 "
        "--set cutoff=3.5 --set neighbours=8 --set epochs=1",
        "predict mine few.csv -o predicted.csv",
    ),
    _train(
        "finetune",
        "finetune pigen-mp --data made.csv --property hardness -o mine --set epochs=1",
        "generate mine -n 2 -o made.parquet --where hardness=3 --sampler steps=4",
    ),
    Case(
        "predict",
        ("predict property-cnn-mp few.csv -o cnn.csv", "predict bulk-modulus-mp few.csv -o moduli.csv"),
        write_made,
    ),
    Case("orderings", ("orderings magnet.cif --cells 2 -o orderings",), write_magnet),
)


def run_command(line: str) -> object:
    """What ``nucleate LINE --json`` prints, run in this process in the current folder.

    Raises:
        RuntimeError: It did not end with exit code 0.
    """
    entry = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]["nucleate"]
    module, function = entry.split(":")
    entry_point = getattr(importlib.import_module(module), function)
    printed, said, arguments = io.StringIO(), io.StringIO(), sys.argv
    words = line.split()
    sys.argv = ["nucleate", *words, *([] if words[0] in WITHOUT_DEVICE else ["--device", "cpu"]), "--json"]
    code: object = 0
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(said):
            entry_point()
    except SystemExit as end:
        code = end.code
    finally:
        sys.argv = arguments
    if code:
        raise RuntimeError(f"nucleate {line}: exit code {code}: {said.getvalue()}")
    return json.loads(printed.getvalue())


def run_case(case: Case, folder: Path) -> dict[str, Any]:
    """Summary of what the commands of a case print and leave in a folder, which is empty before."""
    if case.given is not None:
        case.given(folder)
    given = [path.name for path in folder.iterdir()]
    with contextlib.chdir(folder):
        printed = [run_command(command) for command in case.commands]
    return summary_of(printed, folder, given)
