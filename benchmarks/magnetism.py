"""Saturation magnetisation from a potential's moments, and from a property network, against labels.

    python benchmarks/magnetism.py DATA --count 500 --network MODEL

Takes COUNT structures of DATA at random whose label is at least --least, prints mean absolute error and R² in T, and
for the moments also the share that is too large by more than half: what a potential without signs gets wrong.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from nucleate.data.dataset import label, load_dataset
from nucleate.potentials.registry import load_potential
from nucleate.symmetry.space_group import niggli_reduced
from nucleate.thermo.magnetism import SMALLEST, saturation_magnetization


def line(name: str, found: torch.Tensor, labels: torch.Tensor) -> str:
    known = found.isfinite()
    off, spread = (found - labels)[known], labels[known] - labels[known].mean()
    r2 = 1 - float(off.square().sum() / spread.square().sum())
    rank = float(np.corrcoef(found[known].argsort().argsort(), labels[known].argsort().argsort())[0, 1])
    large = float((found[known] > 1.5 * labels[known]).double().mean())
    return f"| {name} | {int(known.sum())} | {float(off.abs().mean()):.3f} | {r2:.3f} | {rank:.3f} | {large:.1%} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--least", type=float, default=0.1, help="T")
    parser.add_argument("--potential", default="chgnet")
    parser.add_argument("--network", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = load_dataset(options.data)
    magnetic = np.flatnonzero(label(data, "saturation_magnetization").numpy() >= options.least)
    rows = np.random.default_rng(options.seed).permutation(magnetic)[: options.count]
    data = data[np.sort(rows)]
    labels = label(data, "saturation_magnetization")
    print(f"{len(data)} structures with at least {options.least:g} T; mean {float(labels.mean()):.3f} T")
    print(
        "| source | structures | MAE, T | R² | rank correlation | more than 1.5 times the label |\n"
        + "|---|" * 1
        + "---|" * 5
    )
    moments = load_potential(options.potential).evaluate(data.crystals).magmoms
    sums = {"": 0.0, f", moments from {SMALLEST:g} µB": SMALLEST}
    for name, smallest in sums.items():
        print(line(options.potential + name, saturation_magnetization(data.crystals, moments, smallest), labels))
    if options.network:
        from nucleate.predictors.property_cnn import SPEC

        found = SPEC.load(options.network).predict(niggli_reduced(data.crystals), "saturation_magnetization")
        print(line("network", found, labels))


if __name__ == "__main__":
    main()
