"""Quality against the number of steps, by size of the crystal: how short a walk may be.

    python benchmarks/steps.py MODEL --count 300 --reference references/union -o runs/steps

Walks of every kind and length make the same request; all crystals are relaxed and judged. Short walks without noise
are known to fail on large cells first, so every figure is given by number of atoms. A walk that is done is kept in OUT.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

import nucleate
from nucleate.conditions.request import Conditions
from nucleate.descriptors.spp import shipped_table
from nucleate.intervals import percent_text, wilson
from nucleate.screening.ranking import is_sun

BINS = ((1, 4), (5, 8), (9, 12), (13, 16), (17, 20))
KINDS = {
    "stochastic": "churn=1",
    "half churned": "churn=0.5",
    "deterministic": "churn=0",
    "second order deterministic": "churn=0,order=2",
    "second order stochastic": "churn=1,order=2",
}
STEPS = (10, 20, 50, 100)


def share(passed: pd.Series) -> str:
    return percent_text(int(passed.sum()), len(passed))


def judged(model: str, sampler: str, count: int, seed: int, reference: str, folder: Path, workers: int) -> pd.DataFrame:
    """The candidates of one walk, with its seconds."""
    if not (folder / "table.parquet").exists():
        began = time.process_time()
        crystals = nucleate.load(model, "cpu", sampler).sample(count, Conditions.parse(()), seed)
        seconds = (time.process_time() - began) / count
        run = nucleate.screen(crystals, folder / "run", reference=reference, workers=workers, descriptors="cheap")
        table = run.candidates().assign(core_seconds=seconds)
        table.to_parquet(folder / "table.parquet")
    table = pd.read_parquet(folder / "table.parquet")
    table["sun"] = is_sun(table) & table["is_valid"].eq(True)
    table["spp"] = table["proxy_potential"] <= shipped_table().thresholds["all"]
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--kinds", default=",".join(KINDS), help=f"some of {', '.join(KINDS)}")
    parser.add_argument("--steps", default=",".join(map(str, STEPS)))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reference", default="bundled")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    sizes = [f"{low}-{high}" for low, high in BINS]
    head = [
        "walk",
        "steps",
        "core-s",
        "valid",
        "SPP",
        "S.U.N.",
        "median hull (meV/atom)",
        *(f"S.U.N. {s}" for s in sizes),
    ]
    print("| " + " | ".join(head) + " |\n" + "|---" * len(head) + "|")
    figure, axes = plt.subplots(1, len(BINS), figsize=(11, 2.8), sharey=True, layout="constrained")
    for kind in options.kinds.split(","):
        lines: list[list[tuple[float, float, float]]] = [[] for _ in BINS]
        counts = [int(text) for text in options.steps.split(",")]
        for steps in counts:
            folder = options.out / f"{kind.replace(' ', '-')}-{steps}"
            sampler = f"steps={steps},{KINDS[kind]}"
            table = judged(
                options.model, sampler, options.count, options.seed, options.reference, folder, options.workers
            )
            hull = table["energy_above_hull"].where(table["status"] == "ok")
            cells = [kind, str(steps), f"{table['core_seconds'].iloc[0]:.2f}"]
            cells += [share(table["is_valid"].eq(True)), share(table["spp"]), share(table["sun"])]
            cells.append(f"{1000 * np.nanmedian(hull.to_numpy(float)):.0f}")
            for i, (low, high) in enumerate(BINS):
                part = table[table["n_atoms"].between(low, high)]["sun"]
                cells.append(share(part))
                lines[i].append((part.mean(), *wilson(int(part.sum()), len(part))))
            print("| " + " | ".join(cells) + " |", flush=True)
        for axis, line in zip(axes, lines, strict=True):
            middle, low, high = 100 * np.array(line).T
            axis.errorbar(
                counts, middle, (middle - low, high - middle), marker="o", markersize=3, capsize=2, label=kind
            )
    for axis, size in zip(axes, sizes, strict=True):
        axis.set(title=f"{size} atoms", xlabel="steps", xscale="log")
        axis.set_xticks([int(text) for text in options.steps.split(",")], options.steps.split(","))
        axis.minorticks_off()
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set(ylabel="S.U.N. (%)", ylim=(0, 100))
    axes[-1].legend(frameon=False, fontsize=7)
    figure.savefig(options.out / "steps.png", dpi=160)


if __name__ == "__main__":
    main()
