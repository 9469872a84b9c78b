"""Errors of a property network on structures it has not seen, and how they fall with the size of its training set.

    python benchmarks/property_cnn.py MODEL DATA --train TABLE --shares 0.1,0.3,1 --epochs 40 --picture parity.png

Prints mean absolute error, R² and the error of always answering the mean, for each property, in Markdown. With --train
the network is trained anew on shares of a table, which gives the learning curve (minutes).
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch

from nucleate.campaign.train import TrainingTask, train_family
from nucleate.data.dataset import Dataset, label, load_dataset
from nucleate.predictors.property_cnn import SPEC, PropertyCNN
from nucleate.symmetry.space_group import niggli_reduced


def errors(model: PropertyCNN, data: Dataset, column: str) -> tuple[int, float, float, float, np.ndarray]:
    """Labels, mean absolute error, R², error of the mean, and pairs of label and prediction."""
    labels = label(data, column)
    found = model.predict(niggli_reduced(data.crystals), column)
    known = labels.isfinite() & found.isfinite()
    pairs = torch.stack([labels[known], found[known]])
    off, spread = pairs[1] - pairs[0], pairs[0] - pairs[0].mean()
    r2 = 1 - float(off.square().sum() / spread.square().sum())
    return int(known.sum()), float(off.abs().mean()), r2, float(spread.abs().mean()), pairs.numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--train", type=Path)
    parser.add_argument("--shares", default="0.05,0.15,0.4,1")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    data, model = load_dataset(options.data), SPEC.load(options.model)
    print("| property | labels | MAE | R² | MAE of the mean |\n|---|---|---|---|---|")
    drawn = {}
    for column, unit in model.columns.items():
        count, mae, r2, trivial, drawn[f"{column.replace('_', ' ')} ({unit})"] = errors(model, data, column)
        print(f"| {column}, {unit} | {count} | {mae:.4f} | {r2:.3f} | {trivial:.3f} |", flush=True)
    if options.picture:
        parity(drawn, options.picture)
    if options.train:
        learning_curve(load_dataset(options.train), data, [float(s) for s in options.shares.split(",")], options.epochs)


def learning_curve(train: Dataset, data: Dataset, shares: list[float], epochs: int) -> None:
    """As many steps for every share, so that what differs is the data."""
    order = np.random.default_rng(0).permutation(len(train))
    print("\n| structures | property | MAE | R² |\n|---|---|---|---|")
    for share in shares:
        part = train[np.sort(order[: max(200, round(share * len(train)))])]
        with tempfile.TemporaryDirectory() as folder:
            settings = {"epochs": str(max(1, round(epochs / share))), "validate_every": "100000"}
            made = SPEC.load(train_family("property-cnn", TrainingTask(part, Path(folder) / "model", settings)))
        for column in made.columns:
            _, mae, r2, _, _ = errors(made, data, column)
            print(f"| {len(part)} | {column} | {mae:.4f} | {r2:.3f} |", flush=True)


def parity(drawn: dict[str, np.ndarray], path: Path) -> None:
    """Labels against predictions, one panel a property."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4 * len(drawn), 4), layout="constrained")
    for axes, (title, pairs) in zip(figure.subplots(1, len(drawn), squeeze=False)[0], drawn.items(), strict=True):
        axes.plot(*pairs, ".", ms=3)
        ends = [pairs[0].min(), pairs[0].max()]
        axes.plot(ends, ends, "k-", lw=0.6)
        axes.set(title=title, xlabel="label", ylabel="prediction")
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
