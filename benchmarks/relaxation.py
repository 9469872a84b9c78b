"""Relaxation here against CHGNet's own relaxer, on the same crystals in one run.

    python benchmarks/relaxation.py --count 24
    python benchmarks/relaxation.py --structures generated.extxyz --fmax 0.05

Both sides work in the same worker processes of one thread each, crystal by crystal in turn, so that
whatever else the machine does slows both. Rates are counted in processor time. Without a file the
crystals are common structure types displaced by 0.3 Å (standard deviation an axis) and strained by 8 %.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.elements import parse_formula
from nucleate.errors import Status
from nucleate.execution.executor import Lost, Task, load_executor
from nucleate.potentials.chgnet import CHGNetPotential
from nucleate.relaxation.relaxation import relax
from nucleate.relaxation.relaxer import RELAX_V1

MOVE, STRAIN = 0.3, 0.08
FCC = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
# Structure type: sites in units of a cubic cell (first species, second, ...) and members with the cell's edge in Å.
TYPES: list[tuple[list[np.ndarray], list[tuple[str, float]]]] = [
    ([FCC, FCC + 0.5], [("NaCl", 5.64), ("MgO", 4.21), ("TiN", 4.24), ("PbTe", 6.46)]),
    ([FCC, FCC + 0.25], [("ZnS", 5.41), ("GaAs", 5.65), ("SiC", 4.36), ("CuBr", 5.69)]),
    ([FCC, np.concatenate([FCC + 0.25, FCC + 0.75])], [("CaF2", 5.46), ("ZrO2", 5.09), ("AuAl2", 6.0)]),
    ([np.zeros((1, 3)), np.full((1, 3), 0.5)], [("CsCl", 4.12), ("NiAl", 2.89), ("FeTi", 2.98)]),
    ([np.zeros((1, 3)), np.full((1, 3), 0.5), FCC[1:]], [("SrTiO3", 3.9), ("KMgF3", 3.99), ("CsPbBr3", 5.87)]),
    ([np.zeros((1, 3)), FCC[1:]], [("AuCu3", 3.75), ("AlNi3", 3.57), ("SnPd3", 3.98)]),
]

Structure = tuple[np.ndarray, np.ndarray, np.ndarray]


def rough_crystals(count: int, seed: int) -> list[Structure]:
    """Members of the types above in turn, displaced and strained."""
    members = [(sites, formula, edge) for sites, named in TYPES for formula, edge in named]
    generator = np.random.default_rng(seed)
    found = []
    for k in range(count):
        sites, formula, edge = members[k % len(members)]
        numbers = np.repeat(list(parse_formula(formula)), [len(part) for part in sites])
        strain = STRAIN * generator.standard_normal((3, 3))
        lattice = edge * (np.eye(3) + 0.5 * (strain + strain.T))
        cart = np.concatenate(sites) @ lattice + MOVE * generator.standard_normal((len(numbers), 3))
        found.append((numbers, cart @ np.linalg.inv(lattice), lattice))
    return found


def read_crystals(path: str, count: int) -> list[Structure]:
    """The first crystals of a file that Nucleate reads."""
    from nucleate.io.files import read_structures

    crystals: Crystals = read_structures(path).crystals[:count]
    return [tuple(part.numpy() for part in crystals.sites(i)) for i in range(len(crystals))]  # type: ignore[misc]


def make_racer(fmax: float) -> Callable[[tuple[str, Structure]], dict[str, Any]]:
    """Load both sides in a worker and return the function that runs one of them on one crystal."""
    import torch

    torch.set_num_threads(1)
    ours = CHGNetPotential()
    with contextlib.redirect_stdout(io.StringIO()):
        from chgnet.model import StructOptimizer

        theirs = StructOptimizer(use_device="cpu", on_isolated_atoms="ignore")

    def run(task: tuple[str, Structure]) -> dict[str, Any]:
        side, (numbers, frac, lattice) = task
        start = time.process_time()
        if side == "ours":
            found = relax(numbers, frac, lattice, ours)
            result = {"converged": found.status is Status.OK, "energy": found.energy_per_atom, "steps": found.n_steps}
        else:
            from pymatgen.core import Structure as PymatgenStructure

            structure = PymatgenStructure(lattice, numbers, frac)
            trajectory = theirs.relax(structure, fmax=fmax, verbose=False)["trajectory"]
            steps = len(trajectory) - 1  # the last frame is written twice
            result = {
                "converged": steps <= 500,
                "energy": float(trajectory.energies[-1]) / len(numbers),
                "steps": steps,
            }
        return result | {"seconds": time.process_time() - start}

    return run


def main() -> None:
    """Run the race and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--structures", help="a file or folder of crystals instead of the built-in ones")
    parser.add_argument("--count", type=int, default=24, help="how many crystals (24)")
    parser.add_argument("--workers", type=int, default=2, help="processes (2)")
    parser.add_argument(
        "--fmax", type=float, default=0.1, help="StructOptimizer's threshold in eV/Å (0.1, its default)"
    )
    parser.add_argument("--seed", type=int, default=0)
    choice = parser.parse_args()
    if choice.structures:
        crystals = read_crystals(choice.structures, choice.count)
    else:
        crystals = rough_crystals(choice.count, choice.seed)
    tasks = [(side, crystal) for crystal in crystals for side in ("ours", "theirs")]
    results: list[dict[str, Any]] = [{} for _ in tasks]
    lost = {"converged": False, "energy": float("nan"), "steps": 0, "seconds": 0.0}
    for i, result in load_executor(workers=choice.workers).map(Task(make_racer, (choice.fmax,)), tasks, 3600.0):
        results[i] = lost | {"reason": result.reason} if isinstance(result, Lost) else result
    sides = {"nucleate relax-v1": results[::2], f"StructOptimizer, fmax {choice.fmax}": results[1::2]}
    sizes = [len(numbers) for numbers, _, _ in crystals]
    print(f"{len(crystals)} crystals of {min(sizes)} to {max(sizes)} atoms, {choice.workers} processes of one thread")
    print(f"{'':32}{'crystals/min':>14}{'s each, median':>16}{'steps, median':>15}{'converged':>11}")
    rates = []
    for name, rows in sides.items():
        seconds = np.array([row["seconds"] for row in rows])
        rates.append(60 * choice.workers * len(rows) / seconds.sum())
        steps, converged = np.median([row["steps"] for row in rows]), np.mean([row["converged"] for row in rows])
        print(f"{name:32}{rates[-1]:14.1f}{np.median(seconds):16.2f}{steps:15.0f}{converged:11.1%}")
    both = [
        (a["energy"], b["energy"]) for a, b in zip(*sides.values(), strict=True) if a["converged"] and b["converged"]
    ]
    differences = 1e3 * np.array([a - b for a, b in both])
    print(f"ratio of rates {rates[0] / rates[1]:.1f}")
    print(
        f"of the {len(both)} that both converge: within 2 meV/atom {np.mean(np.abs(differences) <= 2):.1%}, "
        f"lower by more {np.mean(differences < -2):.1%}, higher by more {np.mean(differences > 2):.1%}"
    )
    print(f"relax-v1 ends at fmax {RELAX_V1.fmax} eV/Å")


if __name__ == "__main__":
    main()
