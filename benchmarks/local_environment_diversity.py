"""Local environment diversity here against the authors' procedure with pymatgen and matminer, in one run.

    python benchmarks/local_environment_diversity.py --count 500 --library 40
    python benchmarks/local_environment_diversity.py --structures generated.extxyz --noise 0.1

Without a file the crystals are drawn from the bundled reference. With noise (standard deviation in Å an axis) no
site is equivalent to another. Needs matminer, which is no dependency of Nucleate. One thread each.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
import torch
from matminer.featurizers.site import OPSiteFingerprint
from pymatgen.core import Structure
from pymatgen.core.local_env import CrystalNN
from scipy.stats import entropy

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.elements import SYMBOLS
from nucleate.data.dataset import load_dataset
from nucleate.data.reference import Reference
from nucleate.descriptors.local_environments import local_environment_diversity

LISTED = [symbol for symbol in SYMBOLS[1:87] if symbol != "Te"]
FINGERPRINT = OPSiteFingerprint()
NEIGHBOURS = CrystalNN(distance_cutoffs=None, x_diff_weight=0, porous_adjustment=False, search_cutoff=12)


def library_diversity(structure: Structure) -> float:
    """The published variant, site by site."""
    counts = np.zeros(74 + len(LISTED))
    for i, site in enumerate(structure):
        if site.specie.symbol not in LISTED:
            continue
        try:
            fingerprint = FINGERPRINT.featurize(structure, i)
        except (ValueError, ZeroDivisionError, OverflowError):
            continue
        counts[2 * int(np.argmax(fingerprint))] += 1
        try:
            kinds = list(NEIGHBOURS.get_cn_dict(structure, i))
        except (RuntimeError, ValueError):
            kinds = []
        for symbol in [site.specie.symbol, *kinds]:
            if symbol in LISTED:
                counts[74 + LISTED.index(symbol)] += 1
    if not counts.any():
        return float("nan")
    slots = np.arange(len(counts))
    smoothed = sum(np.exp(-((slots - i) ** 2) / 200) for i in counts.nonzero()[0])
    return sum(round(entropy(np.clip(x / x.sum(), 1e-10, 1), base=2), 4) for x in (smoothed, counts[:74]))


def shaken(crystals: Crystals, noise: float) -> Crystals:
    """The crystals with every atom displaced."""
    numbers, frac, lattices = [], [], []
    generator = np.random.default_rng(0)
    for i in range(len(crystals)):
        z, x, cell = crystals.sites(i)
        moves = torch.from_numpy(generator.normal(size=(len(z), 3)) * noise)
        numbers.append(z)
        frac.append(x + moves @ torch.linalg.inv(cell))
        lattices.append(cell)
    return Crystals.from_lists(numbers, frac, lattices)


def main() -> None:
    """Print both speeds and the differences."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--structures", help="a file that Nucleate reads")
    parser.add_argument("--count", type=int, default=500, help="crystals for ours")
    parser.add_argument("--library", type=int, default=40, help="of these, for the library")
    parser.add_argument("--noise", type=float, default=0.0, help="displacement in Å")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    source = load_dataset(options.structures).crystals if options.structures else Reference.load("bundled").structures
    chosen = np.random.default_rng(options.seed).permutation(len(source))[: options.count].tolist()
    crystals = source[chosen].to(dtype=torch.float64)
    if options.noise:
        crystals = shaken(crystals, options.noise)
    local_environment_diversity(crystals[:4])  # imports

    start = time.perf_counter()
    ours = local_environment_diversity(crystals).numpy()
    seconds = time.perf_counter() - start
    print(f"ours     {len(crystals) / seconds:8.1f} crystals/s ({len(crystals)} crystals)")

    structures = []
    for i in range(min(options.library, len(crystals))):
        z, x, cell = crystals.sites(i)
        structures.append(Structure(cell.numpy(), z.tolist(), x.numpy()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = time.perf_counter()
        theirs = np.array([library_diversity(structure) for structure in structures])
        seconds = time.perf_counter() - start
    print(f"library  {len(structures) / seconds:8.1f} crystals/s ({len(structures)} crystals)")
    difference = np.abs(ours[: len(theirs)] - theirs)
    differing = int((difference > 1e-4).sum())
    print(
        f"largest difference {np.nanmax(difference):.2g} bits; {differing} of {len(theirs)} differ; "
        f"undefined here {int(np.isnan(ours[: len(theirs)]).sum())}, there {int(np.isnan(theirs).sum())}"
    )


if __name__ == "__main__":
    main()
