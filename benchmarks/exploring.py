"""Twelve chemical systems, explored by several methods at equal numbers of relaxations.

    python benchmarks/exploring.py runs/exploring --model mattergen-mp --model random --model substitution -n 64 \
        --reference references/union --plot exploring.png

After Fig. 3 of Zeni et al., A generative model for inorganic materials design, Nature 2025: models are asked for the
system and for 0 eV/atom above the hull, everything is relaxed (relax-v1) and placed on the hull of all methods and the
reference. Three systems of each class, chosen from 18,778 structures of the Materials Project (CC BY 4.0): many, two
or none of them within 0.1 eV/atom of the hull; and three of which the training data hold no crystal while the Materials
Project lists ten or more compounds of each. OUT keeps every run, so that the same command goes on where it stopped,
and further models may be added. Prints Markdown.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch

import nucleate

SYSTEMS = {
    "well explored": ("Li-Mn-O", "Sr-V-O", "Ca-Al-Si-O"),
    "well explored, never seen": ("Ba-V-O", "Ba-Fe-O", "Mg-Nb-O"),
    "partially explored": ("Al-Mg-O", "Ca-In-N", "Mn-Se-O"),
    "not explored": ("Br-Pb-Rh", "Cl-Er-In", "Cr-Ga-Mg-P"),
}


def explore(options: argparse.Namespace) -> pd.DataFrame:
    """A row for each system and method."""
    tables = []
    for kind, systems in SYSTEMS.items():
        for system in systems:
            if options.only and system not in options.only:
                continue
            folder = options.out / system
            nucleate.phase_diagram(
                system, options.model, options.n, folder, seed=options.seed, reference=options.reference,
                workers=options.workers, resume=True,
            )  # fmt: skip
            tables.append(pd.read_csv(folder / "methods.csv").assign(system=system, kind=kind))
            print(f"{system} done", flush=True)
    return pd.concat(tables)


def show(table: pd.DataFrame) -> None:
    """Print the systems one by one, and the classes."""
    methods = list(dict.fromkeys(table["method"]))
    print("\nStable, S.U.N., and phases on the combined hull (new ones in brackets), of the crystals of each method\n")
    print("| system | class | " + " | ".join(methods) + " |\n|---|---|" + "---|" * len(methods))
    for (kind, system), rows in table.groupby(["kind", "system"], sort=False):
        of = rows.set_index("method")
        cells = [f"{of.stable[m]}, {of.sun[m]}, {of.on_hull[m]} ({of.new_on_hull[m]})" for m in methods]
        print(f"| {system} | {kind} | " + " | ".join(cells) + " |")
    print("\n| class | " + " | ".join(f"{m}: S.U.N. %, new on the hull" for m in methods) + " |")
    print("|---|" + "---|" * len(methods))
    for kind, rows in [*table.groupby("kind", sort=False), ("all", table)]:
        sums = rows.groupby("method")[["sun", "crystals", "new_on_hull"]].sum()
        cells = [f"{100 * sums['sun'][m] / sums.crystals[m]:.1f}, {sums.new_on_hull[m]}" for m in methods]
        print(f"| {kind} | " + " | ".join(cells) + " |")
    seconds = table.groupby("method")["core_seconds"].sum() / table.groupby("method")["crystals"].sum()
    print("\nCore-seconds a crystal, relaxation included: "
          + ", ".join(f"{m} {seconds[m]:.2f}" for m in methods) + ".")  # fmt: skip


def plot(table: pd.DataFrame, path: Path) -> None:
    """Bars by class, with a dot for each system."""
    import matplotlib.pyplot as plt

    methods, kinds = list(dict.fromkeys(table["method"])), list(SYSTEMS)
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), constrained_layout=True)
    width = 0.8 / len(methods)
    for number, method in enumerate(methods):
        own = table[table["method"] == method]
        at = np.arange(len(kinds)) + (number - (len(methods) - 1) / 2) * width
        for axis, values in zip(axes, (100 * own["sun"] / own["crystals"], own["new_on_hull"]), strict=True):
            by_kind = [values[own["kind"] == kind].to_numpy() for kind in kinds]
            axis.bar(at, [v.mean() for v in by_kind], width * 0.9, label=method, color=f"C{number}", alpha=0.75)
            for x, v in zip(at, by_kind, strict=True):
                axis.plot([x] * len(v), v, ".", color="black", markersize=4)
    for axis, title in zip(axes, ("S.U.N. crystals, %", "new phases on the combined hull"), strict=True):
        axis.set_xticks(range(len(kinds)), kinds)
        axis.set_title(title)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)


def main() -> None:
    """Explore, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", action="append", required=True)
    parser.add_argument("-n", type=int, default=64, help="crystals of each method and system")
    parser.add_argument("--reference", default="bundled")
    every = [system for systems in SYSTEMS.values() for system in systems]
    parser.add_argument("--only", action="append", default=[], choices=every, help="to share the work out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    table = explore(options)
    show(table)
    if options.plot:
        plot(table, options.plot)


if __name__ == "__main__":
    main()
