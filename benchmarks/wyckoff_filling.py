"""Crystals from protostructures: our filling against PyXtal's, on the same labels in one run.

    python benchmarks/wyckoff_filling.py known
    python benchmarks/wyckoff_filling.py bonds --data train.csv.gz --count 300
    python benchmarks/wyckoff_filling.py relaxed --data train.csv.gz --count 60

known: crystals of the literature from their protostructures alone, matched with pymatgen's StructureMatcher. PyXtal's
draws pass through the same ranking and relaxation inside the group, with at least as many calls of CHGNet; "one
filling, relaxed" is what the WyckoffDiff papers do. bonds: no potential at all; share of crystals whose proxy
potential passes, and with a pair closer than 0.7 of the sum of covalent radii. relaxed: space groups that survive
a free relaxation from a rattled start.
"""

from __future__ import annotations

import argparse
import signal
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch

from nucleate.crystal.crystals import Crystals
from nucleate.descriptors.geometry import validity
from nucleate.descriptors.spp import proxy_potential, shipped_table
from nucleate.io.interop import to_pymatgen
from nucleate.potentials.registry import load_potential
from nucleate.relaxation.relaxation import relax
from nucleate.relaxation.relaxer import RELAX_V1
from nucleate.search.cell_priors import crystal_stream
from nucleate.search.protostructure_filling import Candidates, FillSettings, candidates
from nucleate.symmetry.protostructure import Protostructure, protostructures
from nucleate.symmetry.space_group import space_groups, symmetrized

KNOWN = (
    ("MgAl2O4", "spinel"), ("TiO2", "rutile"), ("TiO2", "anatase"), ("SrTiO3", "perovskite"),
    ("Ca3Al2Si3O12", "garnet"), ("K2NaAlF6", "elpasolite"), ("Cs2NaYCl6", "elpasolite"),
)  # fmt: skip
# Z. Anorg. Allg. Chem. and Galasso (1969): double perovskites of oxides, a in Å and x of oxygen at 24e.
DOUBLE_PEROVSKITES = (("Ba", "Y", "Ta", 8.433, 0.2650),)
SYSTEMS = (2, 15, 74, 142, 167, 194, 230)


def known_crystals() -> Iterator[tuple[str, Crystals]]:
    """Name and primitive cell of each crystal to find."""
    from nucleate.data.literature import load_literature

    crystals, table = load_literature()
    for formula, prototype in KNOWN:
        row = table.index[(table["formula"] == formula) & (table["prototype"] == prototype)][0]
        yield f"{formula} {prototype}", crystals[int(row)]
    from pymatgen.core import Lattice, Structure

    from nucleate.io.interop import from_pymatgen

    for a, b, c, edge, x in DOUBLE_PEROVSKITES:
        sites = [[0.25, 0.25, 0.25], [0.5, 0.5, 0.5], [0, 0, 0], [x, 0, 0]]
        cubic = Structure.from_spacegroup("Fm-3m", Lattice.cubic(edge), [a, b, c, "O"], sites)
        yield f"{a}2{b}{c}O6 double perovskite", from_pymatgen([cubic.get_primitive_structure()])


def known(seed: int) -> None:
    """Print who finds which crystal."""
    from pymatgen.analysis.structure_matcher import StructureMatcher

    potential, matcher = load_potential("chgnet"), StructureMatcher()
    print(f"{'':30}{'':22}{'found':>7}{'rank':>6}{'calls':>7}{'filling s':>11}{'CHGNet s':>10}{'wall s':>8}")
    for name, crystal in known_crystals():
        target = to_pymatgen(crystal)[0]
        (protostructure,) = protostructures(crystal)
        if protostructure is None:
            raise SystemExit(f"{name}: no protostructure")
        spent = 0
        for method in ("proxy", "pyxtal"):
            settings = FillSettings(method=method)
            if method == "pyxtal":
                settings = replace(settings, calls=max(spent, settings.keep + settings.relaxed))
            begun = time.time()
            found = candidates(protostructure, crystal_stream(seed, 0), settings, potential)
            hits = [matcher.fit(target, structure) for structure in to_pymatgen(found.crystals)]
            spent = max(spent, found.calls)
            _row(name if method == "proxy" else "", method, hits, found, time.time() - begun)
        begun, start = time.time(), time.process_time()
        drawn = candidates(
            protostructure, crystal_stream(seed, 0), FillSettings(method="pyxtal", keep=1, draws=1), None
        )
        filling = time.process_time() - start
        numbers, frac, lattice = (part.numpy() for part in drawn.crystals.sites(0))
        ended = relax(numbers, frac, lattice, potential, RELAX_V1)
        end = Crystals.from_lists([ended.numbers.tolist()], [torch.from_numpy(ended.frac)], [ended.lattice.tolist()])
        hit = matcher.fit(target, to_pymatgen(end)[0])
        print(
            f"{'':30}{'one filling, relaxed':22}{'yes' if hit else 'no':>7}{'':6}{ended.n_steps:7}{filling:11.2f}"
            f"{ended.seconds:10.2f}{time.time() - begun:8.1f}",
            flush=True,
        )


def _row(name: str, method: str, hits: list[bool], found: Candidates, wall: float) -> None:
    rank = hits.index(True) + 1 if any(hits) else None
    print(
        f"{name:30}{method:22}{'yes' if rank == 1 else 'no':>7}{rank or '-':>6}{found.calls:7}{found.seconds:11.2f}"
        f"{found.potential_seconds:10.2f}{wall:8.1f}",
        flush=True,
    )


def labelled(path: str, count: int, seed: int) -> list[tuple[Protostructure, Crystals]]:
    """Protostructures of ``count`` structures of a data set, drawn at random, and the structures."""
    from nucleate.data.dataset import load_dataset

    crystals, found = load_dataset(path).crystals, []
    for i in np.random.default_rng(seed).permutation(len(crystals)):
        (one,) = protostructures(crystals[int(i)])
        if one is not None and one.n_primitive <= int(crystals.n_atoms[int(i)]):
            found.append((one, crystals[int(i)]))
        if len(found) == count:
            break
    return found


class _OutOfTime(BaseException):
    """No exception, so that what retries on exceptions is ended by it too."""


@contextmanager
def core_seconds_at_most(seconds: float) -> Iterator[None]:
    """End what runs inside with `_OutOfTime` after so much processor time."""

    def end(*_: object) -> None:
        raise _OutOfTime

    before = signal.signal(signal.SIGPROF, end)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def bonds(path: str, count: int, seed: int, limit: float) -> None:
    """Print how many fillings have usual distances."""
    asked = [protostructure for protostructure, _ in labelled(path, count, seed)]
    threshold = shipped_table().thresholds["all"]
    print(f"{len(asked)} labels, {limit:g} core-seconds each at most; SPP passes at {threshold:.3f} kT and less\n")
    print("| filling | in time | label kept | SPP passes | pair < 0.7 | pair < 0.5 | core-s each |", flush=True)
    print("|---|---|---|---|---|---|---|", flush=True)
    for method in ("proxy", "pyxtal"):
        settings = FillSettings(method=method, keep=1, rounds=3 if method == "proxy" else 1)
        parts, carries, start = [], [], time.process_time()
        for i, protostructure in enumerate(asked):
            try:
                with core_seconds_at_most(limit):
                    found = candidates(protostructure, crystal_stream(seed, i), settings)
            except _OutOfTime:
                continue
            parts.append(found.crystals[0])
            carries.append(bool(found.carries_label[0]))
        seconds = (time.process_time() - start) / len(asked)
        crystals = Crystals.concatenate(parts)
        score, closest = proxy_potential(crystals).score, validity(crystals).min_radii_fraction
        # What did not end in time has no good distances either.
        rates = (len(parts), sum(carries), int((score <= threshold).sum()))
        close = [f"{(closest < bound).double().mean():.1%}" for bound in (0.7, 0.5)]
        cells = [f"{rate / len(asked):.1%}" for rate in rates] + close + [f"{seconds:.3f}"]
        print(f"| {method} | " + " | ".join(cells) + " |", flush=True)


def relaxed(path: str, count: int, seed: int, with_potential: bool) -> None:
    """Print which symmetry survives a free relaxation, for fillings and for the crystals that gave the labels.

    A rattle of 1 % strain is not undone in full where the relaxation ends at 0.05 eV/Å, so the same is also counted
    at a wider tolerance, and after going on to 0.01 eV/Å.
    """
    potential = load_potential("chgnet")
    tight = replace(RELAX_V1, fmax=0.01)
    tallies: dict[str, list[tuple[bool, bool, bool]]] = {}
    for i, (protostructure, crystal) in enumerate(labelled(path, count, seed)):
        settings = FillSettings(calls=60, keep=4, relaxed=2)
        found = candidates(protostructure, crystal_stream(seed, i), settings, potential if with_potential else None)
        for name, start in (("filled", found.crystals[0]), ("known", symmetrized(crystal))):
            numbers, frac, lattice = (part.numpy() for part in start.sites(0))
            first = relax(numbers, frac, lattice, potential, RELAX_V1, rattle=(seed, i))
            then = relax(first.numbers, first.frac, first.lattice, potential, tight)
            for ending, after, symprec in (
                ("relax-v1, 0.1 Å", first, 0.1), ("relax-v1, 0.2 Å", first, 0.2), ("0.01 eV/Å, 0.1 Å", then, 0.1),
            ):  # fmt: skip
                end = Crystals.from_lists(
                    [after.numbers.tolist()], [torch.from_numpy(after.frac)], [after.lattice.tolist()]
                )
                number, asked = int(space_groups(end, symprec)[0]), protostructure.space_group
                same = np.searchsorted(SYSTEMS, number) == np.searchsorted(SYSTEMS, asked)
                row = (bool(same), number == asked, number == 1 and asked != 1)
                tallies.setdefault(f"{name}, {ending}", []).append(row)
        if (i + 1) % 10 == 0:
            print(f"{i + 1} labels{'':22}{'same system':>14}{'same group':>14}{'P1':>8}")
            for name, rows in tallies.items():
                system, group, low = np.mean(rows, 0)
                print(f"{name:30}{system:14.1%}{group:14.1%}{low:8.1%}", flush=True)


def main() -> None:
    """Run one of the three and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("known", "bonds", "relaxed"))
    parser.add_argument("--data", default="train.csv.gz", help="structures whose labels are filled")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=2.0, help="bonds: core-seconds for one label")
    parser.add_argument("--no-potential", action="store_true", help="relaxed: start from the cheap energy's best")
    choice = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    match choice.what:
        case "known":
            known(choice.seed)
        case "bonds":
            bonds(choice.data, choice.count, choice.seed, choice.limit)
        case "relaxed":
            relaxed(choice.data, choice.count, choice.seed, not choice.no_potential)


if __name__ == "__main__":
    main()
