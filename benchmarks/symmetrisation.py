"""What moving drawn crystals onto symmetry is worth for the models over the matrix of a crystal.

    python benchmarks/symmetrisation.py MODEL -n 200 --tolerances 0.1,0.3

Valid crystals of free walks, one draw each, are moved onto the symmetry that they have within each tolerance, and those
of MagGen decoded onto the symmetry of their parents. A crystal counts only where the structure matcher calls the moved
one the same and it relaxes to an energy no higher (by 1 meV/atom) than the crystal as drawn.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from pymatgen.analysis.structure_matcher import StructureMatcher
from torch import Tensor

import nucleate
from nucleate.crystal.crystals import Crystals
from nucleate.descriptors.geometry import validity
from nucleate.families.maggen.model import MagGen
from nucleate.intervals import percent_text
from nucleate.io.interop import to_pymatgen
from nucleate.symmetry.space_group import space_groups, symmetrized

NO_HIGHER = 1e-3
"""eV/atom."""


def energies(crystals: Crystals) -> Tensor:
    """Relaxed energies in eV/atom, NaN where the relaxation failed."""
    with tempfile.TemporaryDirectory() as folder:
        plain = replace(crystals, crystal_fields={})
        table = nucleate.screen(plain, Path(folder) / "run", workers=1, descriptors="none").candidates()
    table = table.sort_values("id")
    return torch.tensor(table["energy_per_atom"].where(table["status"] == "ok").to_numpy(dtype=float))


def share(flags: Tensor) -> str:
    return percent_text(int(flags.sum()), len(flags))


def line(name: str, drawn: Crystals, moved: Crystals, possible: Tensor) -> None:
    """One row: shares of all valid crystals as drawn."""
    changed = possible & (space_groups(moved) > space_groups(drawn)) & validity(moved).is_valid
    rows = changed.nonzero().flatten()
    pairs = zip(to_pymatgen(drawn[rows]), to_pymatgen(moved[rows]), strict=True)
    same = rows[torch.tensor([StructureMatcher().fit(a, b) for a, b in pairs], dtype=torch.bool)]
    matched, counts = torch.zeros_like(changed), torch.zeros_like(changed)
    matched[same] = True
    if len(same):
        counts[same] = energies(moved[same]) <= energies(drawn[same]) + NO_HIGHER
    groups = torch.where(counts, space_groups(moved), space_groups(drawn))
    cells = [name, share(changed), share(matched), share(counts), share(groups <= 1), share(groups > 15)]
    print("| " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("-n", type=int, default=200)
    parser.add_argument("--tolerances", default="0.1,0.3")
    parser.add_argument("--sampler", default="draws=1,symmetry=free,symmetrize=0")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = nucleate.load(options.model, "cpu", options.sampler)
    drawn = model.sample(options.n, seed=options.seed)
    sound = validity(drawn).is_valid
    print(f"{int(sound.sum())} of {len(drawn)} crystals are valid as drawn; shares of these in percent\n")
    print(
        "| moved onto | raised | and the same | and no higher | P1 then | above space group 15 then |\n"
        + "|---" * 6
        + "|"
    )
    nothing = torch.zeros(int(sound.sum()), dtype=torch.bool)
    line("nothing", drawn[sound], drawn[sound], nothing)
    for tolerance in options.tolerances.split(","):
        moved = symmetrized(drawn[sound], float(tolerance))
        line(f"what it has within {tolerance} Å", drawn[sound], moved, ~nothing)
    if isinstance(model, MagGen) and len(model.templates):
        again = nucleate.load(options.model, "cpu", f"{options.sampler},symmetry=templates").sample(
            options.n, seed=options.seed
        )
        line("the parent's symmetry", drawn[sound], again[sound], again.crystal_fields["on_template"][sound])


if __name__ == "__main__":
    main()
