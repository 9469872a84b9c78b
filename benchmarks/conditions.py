"""Asked against got: does a model follow the conditions that it offers?

    python benchmarks/conditions.py MODEL DATA --count 100 --reference references/union

For each scalar condition five targets are asked for, the 5th, 25th, 50th, 75th and 95th percentile of DATA's labels,
COUNT crystals each. Descriptors are judged on the crystals as generated, energies after relaxation with the potential,
the magnetic density by the potential's moments, further columns by `--predictor`. That one should not have seen what
the model was trained on; its own error on those crystals is printed.

Prints a Markdown table: median and quartiles got, and Spearman's rank correlation between asked and got.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr

import nucleate
from nucleate.campaign.predict import Predictor, load_predictor
from nucleate.conditions.request import Conditions
from nucleate.crystal.crystals import Crystals
from nucleate.data.dataset import Dataset, label, load_dataset
from nucleate.descriptors.registry import DESCRIPTORS
from nucleate.potentials.registry import load_potential
from nucleate.thermo.magnetism import TESLA, potential_magnetization

PERCENTILES = (5, 25, 50, 75, 95)
ENERGIES = ("energy_above_hull", "formation_energy")
MOMENTS = "magnetic_density"


def got(name: str, crystals: Crystals, reference: str, predictor: Predictor | None) -> np.ndarray:
    """What the crystals have, NaN where it is unknown."""
    if name in DESCRIPTORS:
        return DESCRIPTORS[name].function(crystals).numpy()
    if name == MOMENTS:
        return (potential_magnetization(crystals, load_potential("chgnet")) / TESLA).numpy()
    if predictor and name in predicted(predictor):
        return predictor.predict(crystals, name).numpy()
    with tempfile.TemporaryDirectory() as folder:
        run = nucleate.screen(crystals, Path(folder) / "run", reference=reference, workers=1, descriptors="none")
        table = run.candidates()
    return table[name].where(table["status"] == "ok").to_numpy(dtype=float)


def predicted(predictor: Predictor) -> list[str]:
    return [target.name for target in predictor.config.targets]


def compare(predictor: Predictor, data: Dataset) -> None:
    """The predictor on crystals that the model learned from and it has not."""
    for name in predicted(predictor):
        labels, answers = label(data, name).numpy(), predictor.predict(data.crystals, name).numpy()
        known = np.isfinite(labels) & np.isfinite(answers)
        error = np.abs(answers - labels)[known].mean()
        plain = np.abs(labels[known] - np.median(labels[known])).mean()
        order = spearmanr(labels[known], answers[known]).statistic
        print(f"Judge of {name}: mean absolute error {error:.3g} on {known.sum():,} crystals that it has not seen "
              f"(their median as the answer: {plain:.3g}), rank correlation {order:.2f}.\n")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("data", type=Path)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--conditions", default="", help="some of the model's, joined by commas")
    parser.add_argument("--guidance", action="append", default=[])
    parser.add_argument("--reference", default="bundled")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sampler", default="default")
    parser.add_argument("--predictor", help="folder of a predictor for what has no other judge")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = nucleate.load(options.model, "cpu", options.sampler, options.guidance)
    data = load_dataset(options.data)
    predictor = load_predictor(options.predictor) if options.predictor else None
    if predictor:
        compare(predictor, data)
    known_judges = {*DESCRIPTORS, *ENERGIES, MOMENTS, *(predicted(predictor) if predictor else ())}
    judged = [c.name for c in model.config.scalars if c.name in known_judges]
    print("| condition | " + " | ".join(f"asked, {p}th percentile: got" for p in PERCENTILES) + " | rank correlation |")
    print("|---|" + "---|" * (len(PERCENTILES) + 1))
    for name in options.conditions.split(",") if options.conditions else judged:
        labels = label(data, name).numpy()
        targets = np.percentile(labels[np.isfinite(labels)], PERCENTILES)
        asked, found, cells = [], [], []
        for target in targets:
            crystals = model.sample(options.count, Conditions.parse({name: f"{target:.6g}"}), options.seed)
            values = got(name, crystals, options.reference, predictor)
            low, middle, high = np.nanpercentile(values, [25, 50, 75])
            cells.append(f"{target:.3g}: {middle:.3g} ({low:.3g} to {high:.3g})")
            asked += [target] * len(values)
            found += values.tolist()
        known = np.isfinite(found)
        correlation = spearmanr(np.array(asked)[known], np.array(found)[known]).statistic
        print(f"| {name} | " + " | ".join(cells) + f" | {correlation:.2f} |", flush=True)


if __name__ == "__main__":
    main()
