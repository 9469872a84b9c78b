"""What guidance and the length of the walk buy: S.U.N. and the share on target, for one request.

    python benchmarks/curves.py MODEL [MODEL ...] --where formation_energy=-2 --within 0.25 --guidance 0,1,2,4 \
        --sampler steps=10 --sampler steps=50 --count 300 --reference references/union -o runs/curves

Every strength with the model's own walk, then every walk with the model's own strength. The property is that of the
relaxed crystal. A point that is done is kept in OUT; the picture shows all that are there, so that models can be run
one after the other.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure

import nucleate
from nucleate.crystal.conditions import Conditions
from nucleate.evaluation.intervals import wilson

Interval = tuple[float, float, float]


def measured(options: argparse.Namespace, model: str, sampler: str, guidance: str) -> pd.DataFrame:
    """The candidates of one point."""
    folder = options.out / model / f"{sampler.replace(',', '+')}@{guidance}"
    if not (folder / "table.parquet").exists():
        strengths = [] if guidance == "own" else [guidance]
        generator = nucleate.load(model, "cpu", sampler, strengths)
        began = time.process_time()
        crystals = generator.sample(options.count, Conditions.parse([options.where]), options.seed)
        seconds = (time.process_time() - began) / options.count
        run = nucleate.screen(crystals, folder / "run", reference=options.reference, workers=1, descriptors="none")
        run.candidates().assign(core_seconds=seconds).to_parquet(folder / "table.parquet")
    return pd.read_parquet(folder / "table.parquet")


def shares(table: pd.DataFrame, name: str, target: float, within: float) -> tuple[Interval, Interval]:
    """Share on target and S.U.N., with their intervals, in percent."""
    on = (table[name] - target).abs().le(within) & table["status"].eq("ok")
    good = np.logical_and.reduce([table[f"is_{word}"].eq(True) for word in ("valid", "stable", "unique", "novel")])
    found = []
    for passed in (on, pd.Series(good)):
        low, high = wilson(int(passed.sum()), len(passed))
        found.append((100 * float(passed.mean()), 100 * low, 100 * high))
    return found[0], found[1]


def text(interval: Interval) -> str:
    return "{:.0f} ({:.0f}-{:.0f})".format(*interval)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--where", default="formation_energy=-2", help="one property and its value")
    parser.add_argument("--within", type=float, default=0.25)
    parser.add_argument("--guidance", default="0,1,2,4")
    parser.add_argument("--sampler", action="append", default=[])
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reference", default="bundled")
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    name, value = options.where.split("=")
    print("| model | walk | γ | core-s | on target | S.U.N. | median above hull (meV/atom) |\n" + "|---" * 7 + "|")
    for model in options.models:
        points = [("default", strength) for strength in options.guidance.split(",")]
        for sampler, guidance in points + [(sampler, "own") for sampler in options.sampler]:
            table = measured(options, model, sampler, guidance)
            on, sun = shares(table, name, float(value), options.within)
            hull = 1000 * table["energy_above_hull"].where(table["status"] == "ok").median()
            cells = [model, sampler, guidance, f"{table['core_seconds'].iloc[0]:.2f}", text(on), text(sun)]
            print("| " + " | ".join([*cells, f"{hull:.0f}"]) + " |", flush=True)
    picture(options, name, float(value))


def picture(options: argparse.Namespace, name: str, target: float) -> None:
    """Both shares against the strength, a line for each model in OUT."""
    figure = Figure(figsize=(7.5, 3), layout="constrained")
    panels = figure.subplots(1, 2)
    for folder in sorted(path for path in options.out.iterdir() if path.is_dir()):
        tables = {float(path.parent.name.split("@")[1]): path for path in folder.glob("default@*/table.parquet")}
        strengths = sorted(tables)
        points = [shares(pd.read_parquet(tables[s]), name, target, options.within) for s in strengths]
        for axes, intervals in zip(panels, zip(*points, strict=True), strict=True):
            middle, low, high = np.array(intervals).T
            axes.errorbar(strengths, middle, (middle - low, high - middle), marker="o", capsize=2, label=folder.name)
    for axes, label in zip(panels, ("on target", "S.U.N."), strict=True):
        axes.set(xlabel="γ", ylabel=f"{label} (%)", ylim=(0, None))
        axes.spines[["top", "right"]].set_visible(False)
    panels[1].legend(frameon=False, fontsize=7)
    figure.savefig(options.out / "curves.png", dpi=160)


if __name__ == "__main__":
    main()
