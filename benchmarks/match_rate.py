"""Structure prediction: how often a model finds the known structure of a composition.

    python benchmarks/match_rate.py MODEL DATA --count 300 --samples 20

For each of COUNT structures of DATA (drawn by the seed) the model is asked for SAMPLES crystals of that composition
and that number of atoms. Samples are compared by StructureMatcher (stol 0.5, ltol 0.3, angle 10), DiffCSP's choice; its
published figures on MP-20, three times the training data: 51.5 % with one sample, 77.9 % with twenty.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

import nucleate
from nucleate.conditions.request import Conditions
from nucleate.crystal.crystals import Crystals
from nucleate.crystal.formula import compositions, reduced_formula
from nucleate.data.dataset import load_dataset
from nucleate.matching.rmsd import match_rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data", type=Path)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sampler", default="default")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = nucleate.load(options.model, "cpu", options.sampler)
    known = load_dataset(options.data).crystals
    order = torch.randperm(len(known), generator=torch.Generator().manual_seed(options.seed))
    targets = known[order[: options.count]]
    parts, target_of, began = [], [], time.process_time()
    for i in range(len(targets)):
        n = int(targets.n_atoms[i])
        asked = Conditions.parse({"composition": reduced_formula(compositions(targets[i])[0]), "n_atoms": str(n)})
        parts.append(model.sample(options.samples, asked, options.seed, start=i * options.samples))
        target_of += [i] * options.samples
    seconds = time.process_time() - began
    samples = Crystals.concatenate(parts)
    found = match_rate(samples, torch.tensor(target_of), targets, tuple(sorted({1, options.samples})))
    print(f"{options.model}: {len(targets)} targets, {seconds / len(samples):.2f} core-seconds a sample")
    for rate, rmse in zip(found.rates, found.rmse, strict=True):
        print(f"{rate}; RMSE {rmse:.4f}")
    wrong = found.table["reason"].ne("").sum()
    print(f"{wrong} rows with a sample that could not be compared")


if __name__ == "__main__":
    main()
