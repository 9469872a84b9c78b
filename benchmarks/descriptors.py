"""Descriptors of many crystals in batch against the libraries' own way, one crystal after another.

Ours: all crystals, one thread. The peer: pymatgen or SMACT on a sample, extrapolated to the same number.
Run: OMP_NUM_THREADS=1 python benchmarks/descriptors.py [STRUCTURES] [-n 10000] [--sample 200]
Without a file the structures of the bundled reference are used, repeated as often as needed.
"""

from __future__ import annotations

import argparse
import math
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from pymatgen.analysis.dimensionality import get_dimensionality_larsen
from pymatgen.analysis.hhi import HHIModel
from pymatgen.analysis.local_env import JmolNN
from pymatgen.core import Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer
from smact.screening import smact_validity

from nucleate.crystal.crystals import Crystals
from nucleate.descriptors.geometry import validity
from nucleate.descriptors.registry import DESCRIPTORS
from nucleate.io.interop import to_pymatgen


def compactness(structure: Structure) -> float:
    radii = [site.specie.atomic_radius or math.nan for site in structure]
    return sum(4 / 3 * math.pi * r**3 for r in radii) / structure.volume


def complexity(structure: Structure) -> float:
    orbits = SpacegroupAnalyzer(structure, 0.1).get_symmetry_dataset().equivalent_atoms.tolist()
    shares = [orbits.count(orbit) / len(orbits) for orbit in set(orbits)]
    return -sum(share * math.log2(share) for share in shares)


def dimensionality(structure: Structure) -> int:
    return get_dimensionality_larsen(JmolNN().get_bonded_structure(structure))


def shortest(structure: Structure) -> float:
    return float(structure.get_neighbor_list(6.0)[3].min(initial=math.inf))


PEERS: dict[str, Callable[[Structure], object]] = {
    "compactness": compactness,
    "complexity": complexity,
    "charge_balance": lambda structure: smact_validity(structure.composition),
    "hhi_score": lambda structure: HHIModel().get_hhi_reserve(structure.composition),
    "density": lambda structure: structure.density,
    "min_radii_fraction": shortest,
    "validity": lambda structure: (structure.density, shortest(structure)),
    "dimensionality": dimensionality,
}


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def load(path: Path | None) -> Crystals:
    if path is None:
        from nucleate.data.reference import Reference

        return Reference.load("bundled").structures
    from nucleate.io.files import read_structures

    return read_structures(path).crystals


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("structures", type=Path, nargs="?")
    parser.add_argument("-n", type=int, default=10_000)
    parser.add_argument("--sample", type=int, default=200, help="crystals that the peers see")
    parser.add_argument("--skip", nargs="*", default=[], help="descriptors to leave out")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    found = load(options.structures)
    order = torch.randperm(len(found), generator=torch.Generator().manual_seed(0))
    crystals = found[order.repeat(options.n // len(found) + 1)[: options.n]]
    sample = to_pymatgen(crystals[: options.sample])

    functions: dict[str, Callable[[Crystals], object]] = {"validity": validity}
    functions |= {name: descriptor.function for name, descriptor in DESCRIPTORS.items() if name not in options.skip}
    print(
        f"{len(crystals):,} crystals, {float(crystals.n_atoms.double().mean()):.1f} atoms on average, "
        f"{torch.get_num_threads()} thread(s)"
    )
    print(f"{'':28}{'ours, s':>10}{'peer, s':>10}{'ratio':>8}")
    total = 0.0
    for name, function in functions.items():
        function(crystals[:16])  # tables are read once
        ours = seconds(lambda: function(crystals))  # noqa: B023
        total += ours if name in ("compactness", "proxy_potential", "complexity", "validity") else 0.0
        line = f"{name:28}{ours:10.2f}"
        if name in PEERS:
            PEERS[name](sample[0])
            peer = seconds(lambda: [PEERS[name](structure) for structure in sample]) * len(crystals) / len(sample)  # noqa: B023
            line += f"{peer:10.1f}{peer / ours:8.0f}"
        print(line, flush=True)
    print(f"compactness, proxy potential, complexity and validity together: {total:.1f} s")


if __name__ == "__main__":
    main()
