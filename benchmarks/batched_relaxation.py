"""Batches relaxed by TorchSim against our own relaxer, on the same crystals in one process of one thread.

    python benchmarks/batched_relaxation.py val.csv.gz --count 20
    python benchmarks/batched_relaxation.py val.csv.gz --count 2000 --choice torchsim,device=cuda,batch_sites=8192

Crystals are drawn from a file, rattled and relaxed under relax-v1. Processor time and evaluations are totals.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from nucleate.data.dataset import load_dataset
from nucleate.errors import Status
from nucleate.execution.executor import Serial
from nucleate.relaxation.relaxation import load_relaxer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("structures", type=Path)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--choice", default="torchsim,device=cpu")
    options = parser.parse_args()
    torch.set_num_threads(1)
    crystals = load_dataset(options.structures).crystals
    rows = np.random.default_rng(options.seed).choice(len(crystals), min(options.count, len(crystals)), replace=False)
    crystals = crystals[torch.from_numpy(rows)]
    energies = {}
    for choice in ("chgnet", options.choice):
        relaxer = load_relaxer(choice, executor=Serial())
        dict(relaxer.relax(crystals[:2], rattle_seed=0))  # what is loaded or compiled at first use is not counted
        processor, wall = time.process_time(), time.perf_counter()
        found = dict(relaxer.relax(crystals, rattle_seed=options.seed))
        processor, wall = time.process_time() - processor, time.perf_counter() - wall
        ok = [found[i].status == Status.OK for i in range(len(crystals))]
        energies[choice] = np.where(ok, [found[i].energy_per_atom for i in range(len(crystals))], np.nan)
        steps = sum(one.n_steps for one in found.values())
        print(f"{choice:40s} {sum(ok)} relaxed, {steps} evaluations, {processor:.1f} core-s, {wall:.1f} s")
    away = 1000 * np.abs(energies[options.choice] - energies["chgnet"])
    print(f"energies differ by {np.nanmean(away):.2f} meV/atom on average, {np.nanmax(away):.2f} at most")


if __name__ == "__main__":
    main()
