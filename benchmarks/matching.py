"""Comparing structures here against pymatgen's StructureMatcher, on the same crystals in one run.

    python benchmarks/matching.py pairs structures.csv --count 100000
    python benchmarks/matching.py groups structures.csv --distinct 150
    python benchmarks/matching.py novelty queries.csv --known structures.csv reference/ --workers 2

``pairs`` asks both for the same pairs, both ways round: crystals of one formula (with ``--framework`` of one number of
sites) and noisy copies of them (atoms displaced, cells strained), and counts disagreements. ``groups`` removes
duplicates from 1,000 crystals, of which a number share one formula and every other one of those is a noisy copy.
``novelty`` compares noisy copies with known crystals, and then with each other.
Rates are counted in processor time, so that whatever else the machine does slows neither.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF

import numpy as np
import torch
from pymatgen.core.structure_matcher import StructureMatcher

from nucleate.conditions.request import Conditions
from nucleate.crystal.crystals import Crystals
from nucleate.data.dataset import load_dataset
from nucleate.data.reference import Reference
from nucleate.matching import cell_fits
from nucleate.matching.cell_fits import CellGroup, fits, plain_fit, site_key
from nucleate.matching.entries import composition_key
from nucleate.matching.library import StructureLibrary, novelty, uniqueness
from nucleate.matching.reduced_cells import MATCHERS, MatchSettings, ReducedCell, reduced_cells, structure
from nucleate.search.random_search import RandomSearch

NOISE = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8)
"""Standard deviations in Å by which noisy copies are displaced; their cells are strained by an eighth of it."""
PAIRS_OF_A_KIND = 2000
PAIRS_REPORTED = 10_000
SETTINGS = MatchSettings()


def noisy(crystals: Crystals, rows: Sequence[int], strength: float, generator: np.random.Generator) -> Crystals:
    """Copies with displaced atoms in strained cells."""
    numbers, frac, lattice = [], [], []
    for row in rows:
        z, x, cell = crystals.sites(row)
        moves = generator.normal(0, strength, (len(z), 3)) @ np.linalg.inv(cell.numpy())
        numbers.append(z)
        frac.append(x + torch.from_numpy(moves))
        lattice.append(cell.numpy() @ (np.eye(3) + generator.normal(0, strength / 8, (3, 3))))
    return Crystals.from_lists(numbers, frac, [torch.from_numpy(cell) for cell in lattice])


def kinds_of_pairs(
    crystals: Crystals, most: int, framework: bool, generator: np.random.Generator
) -> list[list[ReducedCell]]:
    """Reduced cells that may match, of at most so many crystals and their noisy copies, in random order of kinds."""
    formulas: dict[object, list[int]] = defaultdict(list)
    for row in range(len(crystals)):
        formulas[composition_key(crystals.numbers[row])].append(row)
    several = [part for part in formulas.values() if len(part) > 1]
    chosen = [row for k in generator.permutation(len(several)) for row in several[k]][:most]
    batches = [crystals[chosen], *(noisy(crystals, chosen, strength, generator) for strength in NOISE)]
    kinds: dict[object, list[ReducedCell]] = defaultdict(list)
    for batch in batches:
        for cell in reduced_cells(batch, range(len(batch)), SETTINGS.seconds):
            if isinstance(cell, ReducedCell):
                kinds[site_key(cell, framework)].append(cell)
    found = [cells for cells in kinds.values() if len(cells) > 1]
    return [found[k] for k in generator.permutation(len(found))]


def pairs(options: argparse.Namespace) -> None:
    """Ask both for the same pairs."""
    generator = np.random.default_rng(options.seed)
    crystals = load_dataset(options.structures).crystals
    matcher = SETTINGS.matcher(options.framework)
    ours = plain = 0.0
    total = same = wrong = unanswered = asked = reported = 0
    for cells in kinds_of_pairs(crystals, options.crystals, options.framework, generator):
        every = np.array(list(itertools.permutations(range(len(cells)), 2)))
        every = every[generator.permutation(len(every))[:PAIRS_OF_A_KIND]]
        i, j = every[: options.count - total].T
        group = CellGroup(tuple(cells), options.framework)
        begin = time.process_time()
        answers, reasons, delegated = fits_counted(group, i, j)
        middle = time.process_time()
        expected = [plain_fit(matcher, cells[a], cells[b], 600.0) for a, b in zip(i, j, strict=True)]
        ours, plain = ours + middle - begin, plain + time.process_time() - middle
        total, same, asked = total + len(i), same + sum(expected), asked + delegated
        wrong += int(((answers != expected) & (answers != 2)).sum())
        unanswered += len(reasons)
        ended = total >= options.count or ours + plain > options.seconds
        if ended or total - reported >= PAIRS_REPORTED:
            reported = total
            print(f"pairs {total:,}, of which the same structure {same:,}")
            print(f"disagreements {wrong}, without an answer {unanswered}, left to the plain matcher {asked:,}")
            print(
                f"ours {ours / total * 1e6:.0f} us a pair, pymatgen {plain / total * 1e6:.0f} us, {plain / ours:.1f}x"
            )
            print(f"after {ours + plain:.0f} s", flush=True)
        if ended:
            return


def fits_counted(group: CellGroup, i: np.ndarray, j: np.ndarray) -> tuple[np.ndarray, dict[int, str], int]:
    """Answers, reasons, and how many pairs were left to the plain matcher."""
    count = 0
    original = cell_fits.plain_fit

    def counted(matcher: StructureMatcher, first: ReducedCell, second: ReducedCell, seconds: float) -> int:
        nonlocal count
        count += 1
        return original(matcher, first, second, seconds)

    cell_fits.plain_fit = counted
    try:
        answers, reasons = fits(group, i, group, j, SETTINGS)
    finally:
        cell_fits.plain_fit = original
    return answers, reasons, count


def groups(options: argparse.Namespace) -> None:
    """Remove duplicates from 1,000 crystals."""
    generator = np.random.default_rng(options.seed)
    request = Conditions.parse([f"composition={options.formula}", f"n_atoms={options.atoms}"])
    distinct = RandomSearch().sample(options.distinct, request, seed=options.seed)
    copies = noisy(distinct, range(len(distinct)), 0.05, generator)
    others = load_dataset(options.structures).crystals[: 1000 - 2 * options.distinct]
    batch = Crystals.concatenate([distinct, copies, others])
    batch = batch[torch.from_numpy(generator.permutation(len(batch)))]
    begin = time.process_time()
    table = uniqueness(batch)
    ours = time.process_time() - begin
    structures = [structure(batch, row) for row in range(len(batch))]
    position = {id(s): row for row, s in enumerate(structures)}
    begin = time.process_time()
    found = SETTINGS.matcher().group_structures(structures)
    plain = time.process_time() - begin
    expected = np.zeros(len(batch), np.int64)
    for part in found:
        expected[[position[id(s)] for s in part]] = position[id(part[0])]
    first = table["duplicate_of"].fillna(table.index.to_series()).to_numpy(np.int64)
    print(f"{len(batch):,} crystals, {int(table['is_unique'].sum())} and {len(found)} groups")
    print(f"the same groups: {bool((first == expected).all())}")
    print(f"ours {ours:.2f} s, pymatgen {plain:.2f} s, {plain / ours:.1f}x")


def novelties(options: argparse.Namespace) -> None:
    """Compare crystals with known ones."""
    generator = np.random.default_rng(options.seed)
    known = Crystals.concatenate([crystals_of(place) for place in options.known])[: options.entries]
    real = load_dataset(options.structures).crystals
    rows = generator.integers(0, len(real), options.count).tolist()
    queries = noisy(real, rows, 0.1, generator)
    settings = MATCHERS[options.matcher]
    begin = time.perf_counter(), processor_seconds()
    table = novelty(queries, StructureLibrary.of(known, settings, workers=options.workers))
    middle = time.perf_counter(), processor_seconds()
    unique = uniqueness(queries, settings, options.workers)
    end = time.perf_counter(), processor_seconds()
    print(f"{settings}, {options.workers} workers")
    print(f"{len(queries):,} crystals against {len(known):,}: {int(table['is_novel'].sum()):,} novel")
    print(f"of a known formula {int(table['formula_known'].sum()):,}, no answer {int(table['is_novel'].isna().sum())}")
    print(f"novelty {middle[0] - begin[0]:.1f} s, processor time of all processes {middle[1] - begin[1]:.1f} s")
    print(f"{int(unique['is_unique'].sum()):,} unique, no answer {int(unique['is_unique'].isna().sum())}")
    print(f"uniqueness {end[0] - middle[0]:.1f} s, processor time of all processes {end[1] - middle[1]:.1f} s")


def crystals_of(place: str) -> Crystals:
    """The known structures of a reference's folder, or the crystals of a file."""
    return Reference.load(place).structures if Path(place).is_dir() else load_dataset(place).crystals


def processor_seconds() -> float:
    """Of this process and of those that it has ended."""
    return sum(use.ru_utime + use.ru_stime for use in map(resource.getrusage, (RUSAGE_SELF, RUSAGE_CHILDREN)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["pairs", "groups", "novelty"])
    parser.add_argument("structures", help="a file of crystals that Nucleate reads")
    parser.add_argument("--count", type=int, default=2000, help="pairs, or crystals whose novelty is asked")
    parser.add_argument("--crystals", type=int, default=800, help="crystals that pairs are made of")
    parser.add_argument("--seconds", type=float, default=480.0, help="processor time after which pairs end")
    parser.add_argument("--framework", action="store_true", help="take all species for equal")
    parser.add_argument("--known", nargs="+", help="files or references with the known crystals, for novelty")
    parser.add_argument("--entries", type=int, help="the first so many of them; all by default")
    parser.add_argument("--matcher", choices=list(MATCHERS), default="ordered", help="for novelty")
    parser.add_argument("--distinct", type=int, default=150, help="distinct crystals of one formula, for groups")
    parser.add_argument("--formula", default="TiO2", help="their formula")
    parser.add_argument("--atoms", default="12..12", help="their number of atoms")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    {"pairs": pairs, "groups": groups, "novelty": novelties}[options.what](options)


if __name__ == "__main__":
    main()
