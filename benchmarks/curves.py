"""What guidance and the length of the walk buy: S.U.N. and the share on target, for one request or none.

    python benchmarks/curves.py MODEL [MODEL ...] --where formation_energy=-2 --within 0.25 --guidance 0,1,2,4 \
        --sampler steps=10 --sampler steps=50 --count 300 --reference references/union -o runs/curves
    python benchmarks/curves.py diffcsp-mp --guidance own --sampler steps=10 --reference references/union -o runs/curves

Every strength with the model's own walk, then every walk with the model's own strength ("own"). The property is that of
the relaxed crystal. A point that is done is kept in OUT; the picture shows all that are there, so that models can be
run one after the other.
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
from nucleate.conditions.request import Conditions
from nucleate.families.registry import find_model
from nucleate.intervals import Rate, percent_text
from nucleate.screening.ranking import is_sun


def measured(options: argparse.Namespace, model: str, sampler: str, guidance: str) -> pd.DataFrame:
    """The candidates of one point."""
    folder = options.out / model / f"{sampler.replace(',', '+')}@{guidance}"
    if not (folder / "table.parquet").exists():
        generator = nucleate.load(model, "cpu", sampler, [] if guidance == "own" else [guidance])
        where = Conditions.parse([options.where] if options.where else [])
        began = time.process_time()
        crystals = generator.sample(options.count, where, options.seed)
        seconds = (time.process_time() - began) / options.count
        run = nucleate.screen(crystals, folder / "run", reference=options.reference, workers=1, descriptors="none")
        table = run.candidates().assign(core_seconds=seconds, where=options.where, within=options.within)
        table.to_parquet(folder / "table.parquet")
    return pd.read_parquet(folder / "table.parquet")


def shares(table: pd.DataFrame) -> tuple[Rate | None, Rate]:
    """Share on target, where one was asked for, and S.U.N."""
    good = Rate("S.U.N.", "all", int((is_sun(table) & table["is_valid"].eq(True)).sum()), len(table))
    if not table["where"].iloc[0]:
        return None, good
    name, value = table["where"].iloc[0].split("=")
    on = (table[name] - float(value)).abs().le(table["within"]) & table["status"].eq("ok")
    return Rate("on target", "all", int(on.sum()), len(table)), good


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--where", default="", help="one property and its value; none by default")
    parser.add_argument("--within", type=float, default=0.25)
    parser.add_argument("--guidance", default="own")
    parser.add_argument("--sampler", action="append", default=[])
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reference", default="bundled")
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| model | walk | γ | core-s | on target | S.U.N. | median above hull (meV/atom) |\n" + "|---" * 7 + "|")
    for model in options.models:
        points = [("default", strength) for strength in options.guidance.split(",")]
        for sampler, guidance in points + [(sampler, "own") for sampler in options.sampler]:
            table = measured(options, model, sampler, guidance)
            on, sun = shares(table)
            hull = 1000 * table["energy_above_hull"].where(table["status"] == "ok").median()
            rates = [percent_text(rate.count, rate.total) if rate else "—" for rate in (on, sun)]
            cells = [model, sampler, guidance, f"{table['core_seconds'].iloc[0]:.2f}", *rates, f"{hull:.0f}"]
            print("| " + " | ".join(cells) + " |", flush=True)
    picture(options.out)


def picture(out: Path) -> None:
    """Both shares against the strength and against the steps, a line for each model in OUT."""
    figure = Figure(figsize=(8, 5.6), layout="constrained")
    panels = figure.subplots(2, 2, sharey="col")
    for k, folder in enumerate(sorted(path for path in out.iterdir() if path.is_dir())):
        entry = find_model(folder.name)
        own = dict(entry.stored.config)
        strengths: dict[float, pd.DataFrame] = {}
        walks: dict[str, dict[float, pd.DataFrame]] = {}
        for path in folder.glob("*/table.parquet"):
            sampler, guidance = path.parent.name.split("@")
            table = pd.read_parquet(path)
            settings = dict(pair.split("=") for pair in sampler.split("+") if "=" in pair)
            steps = float(settings.pop("steps", own["sampler"]["steps"]))
            if guidance != "own":
                strengths[float(guidance)] = table
            if guidance in ("own", f"{own['guidance']:g}"):
                walks.setdefault(",".join(map("=".join, settings.items())), {})[steps] = table
        if strengths:
            lines(panels[0], strengths, folder.name, f"C{k}")
        for rest, tables in walks.items():
            if len(tables) > 1:
                lines(panels[1], tables, " ".join([folder.name, rest]).strip(), f"C{k}")
    for row, under in zip(panels, ("γ", "steps of the walk"), strict=True):
        for axes, label in zip(row, ("on target", "S.U.N."), strict=True):
            axes.set(xlabel=under, ylabel=f"{label} (%)", ylim=(0, None))
            axes.spines[["top", "right"]].set_visible(False)
    for row in panels:
        row[1].legend(frameon=False, fontsize=7, loc="lower left")
    for axes in panels[1]:
        axes.set_xlim(0, None)
    figure.savefig(out / "curves.png", dpi=160)


def lines(panels: np.ndarray, tables: dict[float, pd.DataFrame], label: str, colour: str) -> None:
    """On target and S.U.N. of some points, in their panels."""
    found = {x: shares(tables[x]) for x in sorted(tables)}
    for axes, which in zip(panels, (0, 1), strict=True):
        points = [(x, rate.value, *rate.interval) for x, both in found.items() if (rate := both[which]) is not None]
        x, middle, low, high = np.array(points).reshape(-1, 4).T * [[1], [100], [100], [100]]
        ends = (middle - low, high - middle)
        axes.errorbar(x, middle, ends, marker="o", ms=4, capsize=2, label=label, color=colour)


if __name__ == "__main__":
    main()
