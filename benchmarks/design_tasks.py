"""Design tasks of Zeni et al. (Nature 2025), Figs. 4 and 5: a property asked for, and what comes out.

    python benchmarks/design_tasks.py mattergen-mp train.csv.gz -n 128 --reference references/union -o runs/tasks \
        --predictor models/band-gap

Each task asks for a value far from the data, generates and relaxes (relax-v1), and measures the property on the relaxed
crystals: magnetic density by the potential's moments, bulk modulus by its equation of state, band gap by a predictor,
which should not have seen what the model was trained on. A hit is a crystal beyond the task's threshold; beside it the
share of hits among DATA's labels and among crystals that the model makes when nothing is asked. hits.png shows distinct
S.U.N. hits against the number of property evaluations, beside what DATA's crystals, picked blindly, would give, and
what a predictor's choice among others gave (`benchmarks/predictor_screening.py`): those are known, and come to an end.
OUT keeps every run. Prints Markdown.
"""

from __future__ import annotations

import argparse
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import nucleate
from nucleate.campaign.predict import Predictor, load_predictor
from nucleate.data.bulk_moduli import bulk_moduli, table_of
from nucleate.data.dataset import Dataset, label, load_dataset
from nucleate.intervals import percent_text
from nucleate.potentials.registry import load_potential
from nucleate.runs.candidates import table_crystals
from nucleate.screening.ranking import is_sun
from nucleate.screening.reevaluation import magnetization


@dataclass(frozen=True)
class Task:
    """What is asked for, and which crystals count: at least, or at most, these values."""

    name: str
    where: tuple[str, ...]
    least: dict[str, float]
    most: dict[str, float]


TASKS = (
    Task("magnetic density 0.2 µB/Å³", ("magnetic_density=0.2",), {"magnetic_density": 0.1}, {}),
    Task("band gap 3 eV", ("band_gap=3",), {"band_gap": 1.5}, {}),
    Task("bulk modulus 300 GPa", ("bulk_modulus=300",), {"bulk_modulus": 250}, {}),
    Task(
        "magnetic density 0.15 µB/Å³, HHI 1200", ("magnetic_density=0.15", "hhi_score=1200"),
        {"magnetic_density": 0.1}, {"hhi_score": 1500},
    ),
)  # fmt: skip
FREE = Task("nothing", (), {}, {})


def measured(run: nucleate.Run, names: set[str], predictor: Predictor | None) -> pd.DataFrame:
    """The candidates with the properties of their relaxed crystals; NaN where there is none. Kept in the run."""
    table = run.candidates()
    there = np.flatnonzero(table["status"].eq("ok"))
    relaxed = table_crystals(table.iloc[there], relaxed=True)
    for name in sorted(names):
        path = run.folder / f"task_{name}.csv"
        if not path.exists():
            values = np.full(len(table), np.nan)
            if name == "magnetic_density":
                values = magnetization(run)[name].to_numpy(float)
            elif name == "bulk_modulus":
                potential = load_potential("chgnet")
                parts = [table_of(relaxed[rows], potential)[name] for rows in torch.arange(len(there)).split(32)]
                values[there] = np.concatenate(parts)
            elif predictor is not None and name == "band_gap":
                values[there] = predictor.predict(relaxed, name).numpy()
            pd.Series(values, name=name).to_csv(path, index=False)
        table[name] = pd.read_csv(path)[name].to_numpy()
    return table


def hits(table: pd.DataFrame, task: Task) -> pd.Series:
    found = pd.Series(data=True, index=table.index)
    for name, value in task.least.items():
        found &= table[name] >= value
    for name, value in task.most.items():
        found &= table[name] <= value
    return found


def labelled(data: Dataset) -> pd.DataFrame:
    """Labels of the data, NaN where there is none."""
    columns = {name: label(data, name).numpy() for name in ("magnetic_density", "band_gap", "hhi_score")}
    return pd.DataFrame({**columns, "bulk_modulus": bulk_moduli(data)})


def screened(folder: Path | None, task: Task) -> np.ndarray:
    """Hits among known crystals in the order of a predictor; empty where there is no such screening."""
    path = None if folder is None else folder / f"{next(iter(task.least))}.csv"
    if path is None or not path.exists() or len(task.where) > 1:
        return np.zeros(0)
    return hits(pd.read_csv(path), task).cumsum().to_numpy()


def share(found: pd.Series) -> str:
    return percent_text(int(found.sum()), len(found), 1)


def plot(curves: dict[str, tuple[np.ndarray, float, np.ndarray]], path: Path) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(curves), figsize=(3.4 * len(curves), 3.3), constrained_layout=True)
    for axis, (name, (found, rate, screened)) in zip(np.atleast_1d(axes), curves.items(), strict=True):
        count = np.arange(1, len(found) + 1)
        axis.plot(count, found, color="C0", label="model, S.U.N. and distinct")
        axis.plot(count, rate * count, color="C1", linestyle="--", label="known crystals, picked blindly")
        if len(screened):
            axis.plot(np.arange(1, len(screened) + 1), screened, color="C2", label="known crystals, by a predictor")
        axis.set(title=name, xlabel="property evaluations", ylabel="hits", ylim=(0, None))
        axis.title.set_fontsize(9)
        axis.spines[["top", "right"]].set_visible(False)
    handles, labels = np.atleast_1d(axes)[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data", type=Path)
    parser.add_argument("-n", type=int, default=128, help="crystals of each task")
    parser.add_argument("--guidance", action="append", default=[])
    parser.add_argument("--reference", default="bundled")
    parser.add_argument("--predictor", help="folder of a predictor of band gaps")
    parser.add_argument("--screened", type=Path, help="folder of predictor_screening.py")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    known = labelled(load_dataset(options.data))
    predictor = load_predictor(options.predictor) if options.predictor else None
    names = {name for task in TASKS for name in (*task.least, *task.most)} - {"hhi_score"}
    tables = {}
    for task in (FREE, *TASKS):
        run = nucleate.design(
            options.model, options.n, task.where, options.out / task.name.replace(" ", "-").replace("/", ""),
            guidance=options.guidance if task.where else (), reference=options.reference, seed=options.seed,
            workers=options.workers, resume=True,
        )  # fmt: skip
        tables[task.name] = measured(run, names, predictor)
    print("| asked | hit | data, % | model free, % | model asked, % | times | median: data, free, asked | S.U.N. % "
          "of the hits |\n|---|---|---|---|---|---|---|---|")  # fmt: skip
    curves = {}
    for task in TASKS:
        name = next(iter(task.least))
        free, table, of = tables[FREE.name], tables[task.name], known[known[name].notna()]
        got, base, there = hits(table, task), hits(free, task), hits(of, task)
        sun = is_sun(table)
        medians = [f"{one[name].median():.3g}" for one in (of, free, table)]
        terms = [f"≥ {v:g}" for v in task.least.values()] + [f"HHI ≤ {v:g}" for v in task.most.values()]
        print(f"| {task.name} | {', '.join(terms)} | {share(there)} | {share(base)} | {share(got)} | "
              f"{got.mean() / max(there.mean(), 1e-9):.1f} | {', '.join(medians)} | "
              f"{100 * (got & sun).sum() / max(got.sum(), 1):.0f} |", flush=True)  # fmt: skip
        evaluated = table[sun]
        curves[task.name] = (
            hits(evaluated, task).cumsum().to_numpy(),
            float(there.mean()),
            screened(options.screened, task),
        )
    plot(curves, options.out / "hits.png")


if __name__ == "__main__":
    main()
