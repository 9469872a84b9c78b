"""The PIGEN paper's tables on our data: what is asked of which model, and what passes the funnel.

    python benchmarks/pigen_tables.py benchmarks/pigen_rows.toml --count 300 --reference references/union -o runs/tables

Each row of the file names a model, what is asked of it and how strongly. Its crystals are placed and described as
generated; those that pass filters A to D (with ``relax = "all"``: all of them) are relaxed for E. A row that is
done is kept in OUT and not done again. Prints Markdown in the form of Extended Data Tables 1 and 2 and draws Figs. 3a,
3b and 3d.
"""

from __future__ import annotations

import argparse
import json
import time
import tomllib
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

import nucleate
from nucleate.campaign.screen import screen
from nucleate.conditions.request import Conditions
from nucleate.crystal.periodic import minimum_distances
from nucleate.data.dataset import load_dataset
from nucleate.descriptors.registry import DESCRIPTORS
from nucleate.intervals import Rate, percent_text
from nucleate.matching.prototypes import unmatched_curve
from nucleate.runs.candidates import table_crystals
from nucleate.screening.filters import PASSES
from nucleate.screening.funnels import pigen
from nucleate.settings import ScreenSettings

FUNNEL = pigen()
AS_GENERATED = ("spp", "new_formula", "compactness", "m_led")
LEVELS = (0.1, 0.05, 0.035, 0.025)
FROM_RELAXED = ("energy_above_hull", "status")


def verdicts(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Which crystals pass each of A to D, by filter."""
    rules = {rule.name: rule for rule in FUNNEL.filters}
    return {name: rules[name].verdicts(table) == PASSES for name in AS_GENERATED}


def make(row: dict[str, Any], count: int, seed: int, reference: str, folder: Path, workers: int) -> pd.DataFrame:
    """The crystals of a row as generated, with the energies of the relaxed ones."""
    model = nucleate.load(row["model"], "cpu", "default", row.get("guidance", ()))
    began = time.process_time()
    crystals = model.sample(count, Conditions.parse(row.get("where", ())), seed)
    seconds = (time.process_time() - began) / count
    settings = ScreenSettings(reference=reference, descriptors="all", funnel="pigen")
    generated = screen(crystals, settings.without_relaxation(), folder / "generated", workers=workers)
    table = generated.candidates().sort_values("id").reset_index(drop=True)
    if row.get("relax") == "all":
        chosen = np.ones(len(table), bool)
    else:
        chosen = np.logical_and.reduce(list(verdicts(table).values()))
    table["energy_above_hull"] = np.nan
    if chosen.any():
        rows = np.flatnonzero(chosen)
        relaxed = screen(crystals[torch.as_tensor(rows)], settings, folder / "relaxed", workers=workers)
        found = relaxed.candidates().sort_values("id").reset_index(drop=True)
        for name in FROM_RELAXED:
            table.loc[rows, name] = found[name].to_numpy()
    table["relaxed"] = chosen
    table["core_seconds"] = seconds
    return table


def percent(passed: np.ndarray) -> str:
    """A share with its 95 % interval."""
    return percent_text(int(passed.sum()), len(passed), 1)


def alone_and_together(tables: dict[str, pd.DataFrame]) -> str:
    """Extended Data Table 1: each criterion by itself."""
    lines = [
        "| model | d > 0.5 Å | A: SPP | B: new formula | C: 0.55 to 0.85 | D: M_LED > 9 | K > 3.9 | mean K | core-s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, table in tables.items():
        passed = verdicts(table)
        cells = [percent(minimum_distances(table_crystals(table)).flatten(1).amin(1).numpy() > 0.5)]
        cells += [percent(passed[key]) for key in AS_GENERATED]
        complexity = table["complexity"].to_numpy(float)
        cells += [percent(complexity > 3.9), f"{np.nanmean(complexity):.2f}", f"{table['core_seconds'].iloc[0]:.2f}"]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def in_sequence(tables: dict[str, pd.DataFrame]) -> str:
    """Extended Data Table 2: all of them, then the hull and the largest diversity near it."""
    at = " / ".join(f"{1000 * level:.0f}" for level in LEVELS)
    lines = [
        f"| model | A & B & C & D | of all, also below {at} meV/atom | largest M_LED below 50 meV/atom |",
        "|---|---|---|---|",
    ]
    for name, table in tables.items():
        through = np.logical_and.reduce(list(verdicts(table).values()))
        hull = table["energy_above_hull"].to_numpy(float)
        shares = " / ".join(f"{100 * np.mean(through & (hull < level)):.1f}" for level in LEVELS)
        near = table["local_environment_diversity"][through & (hull < 0.05)]
        lines.append(f"| {name} | {percent(through)} | {shares} | {f'{near.max():.1f}' if len(near) else 'none'} |")
    return "\n".join(lines)


def stable(tables: dict[str, pd.DataFrame]) -> str:
    """Shares near the hull of the rows whose crystals were all relaxed."""
    lines = [
        "| model | on the hull or below | within 25 meV/atom | 50 | 100 | median (meV/atom) |",
        "|---|---|---|---|---|---|",
    ]
    for name, table in tables.items():
        if table["relaxed"].all():
            hull = table["energy_above_hull"].where(table["status"] == "ok").to_numpy(float)
            cells = [percent(hull <= level) for level in (0.0, 0.025, 0.05, 0.1)]
            lines.append(f"| {name} | " + " | ".join(cells) + f" | {1000 * np.nanmedian(hull):.0f} |")
    return "\n".join(lines)


def draw(tables: dict[str, pd.DataFrame], data: Path | None, folder: Path) -> None:
    """Figs. 3a (M_LED asked for and of the data), 3b (what passes together) and 3d (structure types)."""
    plt.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    figure, axis = plt.subplots(figsize=(5.6, 3.4), layout="constrained")
    bins = np.linspace(5.5, 12, 53)
    if data is not None:
        known = load_dataset(data).crystals
        some = torch.randperm(len(known), generator=torch.Generator().manual_seed(0))[:2000]
        values = DESCRIPTORS["local_environment_diversity"].function(known[some]).numpy()
        axis.hist(values, bins, density=True, color="0.8", label="training data")
    for name in ("pigen-mp, free", "pigen-mp, M_LED = 9", "pigen-mp (M_LED = 9, C = 0.7)"):
        if name in tables:
            values = tables[name]["local_environment_diversity"].dropna()
            axis.hist(values, bins, density=True, histtype="step", linewidth=1.6, label=name)
    axis.set(xlabel="local environment diversity M_LED (bits)", ylabel="density")
    axis.legend(frameon=False)
    figure.savefig(folder / "m_led.png", dpi=160)

    names = [n for n in ("pigen-mp, C = 0.7", "pigen-mp, E_hull = 0", "pigen-mp (M_LED = 9, C = 0.7)") if n in tables]
    figure, axis = plt.subplots(figsize=(5.6, 3.4), layout="constrained")
    sets = {
        "SPP": ("spp",),
        "new": ("new_formula",),
        "M_LED": ("m_led",),
        "SPP, new": ("spp", "new_formula"),
        "SPP, M_LED": ("spp", "m_led"),
        "new, M_LED": ("new_formula", "m_led"),
        "all three": ("spp", "new_formula", "m_led"),
    }
    for i, name in enumerate(names):
        passed = verdicts(tables[name])
        shares = [
            Rate("", "", int(np.logical_and.reduce([passed[k] for k in keys]).sum()), len(tables[name]))
            for keys in sets.values()
        ]
        heights = [100 * rate.value for rate in shares]
        ends = np.abs(np.array([rate.interval for rate in shares]).T * 100 - heights)
        axis.bar(np.arange(len(sets)) + 0.27 * i, heights, 0.25, yerr=ends, error_kw={"linewidth": 0.8}, label=name)
    axis.set_xticks(np.arange(len(sets)) + 0.27, list(sets), rotation=20)
    axis.set(ylabel="crystals that pass (%)", ylim=(0, 109))
    axis.legend(frameon=False)
    figure.savefig(folder / "passing_together.png", dpi=160)

    figure, axis = plt.subplots(figsize=(5.6, 3.4), layout="constrained")
    for name in ("pigen-mp, free", "pigen-mp, E_hull = 0", "pigen-mp (M_LED = 9, C = 0.7)"):
        if name not in tables:
            continue
        passed = verdicts(tables[name])
        plausible = tables[name][passed["spp"] & passed["new_formula"] & passed["compactness"]]
        ranks = plausible.rename(columns={"prototype_rank": "rank"})
        ranks = ranks.assign(rank=ranks["rank"].where(ranks["rank"] < 100))
        curve = unmatched_curve(ranks, 100)
        (drawn,) = axis.plot(curve["n"], 100 * curve["unmatched"], label=f"{name} ({len(plausible)})")
        axis.fill_between(
            curve["n"], 100 * curve["low"], 100 * curve["high"], color=drawn.get_color(), alpha=0.15, lw=0
        )
    axis.set(xlabel="number of commonest structure types N", ylabel="plausible crystals that are none of them (%)")
    axis.set_ylim(0, 100)
    axis.legend(frameon=False)
    figure.savefig(folder / "unmatched.png", dpi=160)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reference", default="bundled")
    parser.add_argument("--data", type=Path, help="training structures, for Fig. 3a")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    tables = {}
    for number, row in enumerate(tomllib.loads(options.rows.read_text())["row"]):
        folder = options.out / f"{number:02d}"
        done, asked = folder / "table.parquet", folder / "asked.json"
        question = json.dumps({**row, "count": options.count, "seed": options.seed, "reference": options.reference})
        if not done.exists() or asked.read_text() != question:
            table = make(row, options.count, options.seed, options.reference, folder, options.workers)
            asked.write_text(question)
            table.to_parquet(done)
        tables[row["name"]] = pd.read_parquet(done)
        print(row["name"], flush=True)
    print("\n\n".join(["", alone_and_together(tables), in_sequence(tables), stable(tables)]))
    draw(tables, options.data, options.out)


if __name__ == "__main__":
    main()
