"""MagGen's tables for a trained model and structures it has not seen.

    python benchmarks/maggen.py MODEL DATA --count 500 --pictures pictures

Prints, in Markdown: reconstruction and branches (the paper's Table I), the latent graph against the threshold (Fig. 3),
the effect of the scale of the noise (Fig. S4), and the share of generated crystals that the branches call on target
with parents chosen by their labels alone, by their edges as well, and at random. With --pictures also parity plots and
the latent space on its first two principal components (Fig. 2); with --train, training on shares of a table (Fig. S5).
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch

from nucleate.campaign.train import TrainingTask, train_family
from nucleate.conditions.request import Conditions
from nucleate.data.dataset import Dataset, known_labels, load_dataset
from nucleate.diffusion.noise import KeyedNoise
from nucleate.errors import UserError
from nucleate.families.maggen import SPEC
from nucleate.families.maggen.latent_space import summary
from nucleate.families.maggen.model import MagGen
from nucleate.families.maggen.study import (
    back_in_the_graph,
    generated,
    principal_components,
    property_fits,
    reconstruction,
)
from nucleate.symmetry.space_group import niggli_reduced
from nucleate.training.batch import TrainingBatch

PAPER = {
    "elements": 0.9864,
    "length_percent": 11.74,
    "length": 0.67,
    "angle_percent": 2.23,
    "angle": 2.09,
    "coordinate": 0.024,
}
THRESHOLDS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
SCALES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0)


def unseen(model: MagGen, path: Path) -> TrainingBatch:
    """Reduced cells with the labels of the model's properties."""
    data = load_dataset(path)
    return TrainingBatch.of(niggli_reduced(data.crystals), known_labels(data, model.properties))


def table(head: list[str], rows: list[list[object]]) -> None:
    print("\n| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(f"{x:.4g}" if isinstance(x, float) else str(x) for x in row) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--count", type=int, default=500, help="crystals for each generated line")
    parser.add_argument("--target", action="append", default=[], help="NAME=LOW..HIGH; stable magnets by default")
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--train", type=Path, help="train anew on shares of this table (minutes)")
    parser.add_argument("--shares", default="0.1,0.3,1")
    parser.add_argument("--epochs", type=int, default=40, help="for the whole table; as many steps for every share")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = SPEC.load(options.model)
    crystals = unseen(model, options.data)
    found = reconstruction(model, crystals)
    print(f"{found.crystals} of {len(crystals)} unseen crystals fit the matrix")
    table(
        ["reconstruction", "here", "paper"],
        [[name, value, PAPER.get(name, "")] for name, value in found._asdict().items() if name != "crystals"],
    )
    fits = property_fits(model, crystals)
    table(["property", "labels", "MAE", "R²", "MAE of the mean"], [[name, *fit] for name, fit in fits.items()])
    where = Conditions.parse(options.target or ["formation_energy=-99..0", "saturation_magnetization=0.5..99"])
    graph(model, where)
    generation(model, where, options.count)
    if options.pictures:
        pictures(model, crystals, options.pictures)
    if options.train:
        shares = [float(share) for share in options.shares.split(",")]
        by_size(load_dataset(options.train), crystals, shares, options.epochs)


def by_size(train: Dataset, crystals: TrainingBatch, shares: list[float], epochs: int) -> None:
    """Fig. S5: reconstruction and branches against the size of the training data."""
    order = np.random.default_rng(0).permutation(len(train))
    rows: list[list[object]] = []
    names: tuple[str, ...] = ()
    for share in shares:
        part = train[np.sort(order[: max(200, round(share * len(train)))])]
        with tempfile.TemporaryDirectory() as folder:
            settings = {"epochs": str(max(1, round(epochs / share))), "validate_every": "100000"}
            model = SPEC.load(train_family("maggen", TrainingTask(part, Path(folder) / "model", settings)))
        found, fits = reconstruction(model, crystals), property_fits(model, crystals)
        names = tuple(fits)
        errors = (fit.mae for fit in fits.values())
        rows.append([len(part), found.elements, found.length_percent, found.angle, found.coordinate, *errors])
    table(["structures", "elements", "lengths, %", "angles, °", "coordinates", *(f"MAE of {n}" for n in names)], rows)


def graph(model: MagGen, where: Conditions) -> None:
    """Fig. 3: classes are combinations of met and missed targets, as in the paper."""
    known = model.parents.known()
    classes = torch.zeros(len(known), dtype=torch.int64)
    for bit, (name, interval) in enumerate(where.targets.items()):
        one = Conditions(targets={name: interval})
        classes += 2**bit * model.parents.on_target(known, one, model.properties).long()
    top = 2 ** len(where.targets) - 1
    found = summary(model.parents.points, classes, THRESHOLDS)
    rows = zip(found.thresholds, found.density, found.correct, found.own.get(top, ()), strict=True)
    head = ["similarity", "edges per node", "correct edges", "correct edges of those on target"]
    table(head, [list(row) for row in rows])


def generation(model: MagGen, where: Conditions, count: int) -> None:
    """Local perturbation against its scale, then parents chosen in three ways, then the other methods."""
    default = model.config.sampler
    head = ["", "parents", "predicted on target", "new composition", "same elements", "valid"]
    rows: list[list[object]] = []

    def line(name: str, **changes: object) -> None:
        how = default.model_copy(update=changes)
        try:
            found = generated(model, where, how, count)
        except UserError:
            rows.append([name, 0, "no such parent", "", "", ""])
        else:
            rows.append([name, *found[1:]])

    for scale in SCALES:
        line(f"scale {scale}, parents by label", parents="asked", scale=scale)
    for kind in ("all", "asked"):
        line(f"parents {kind}", parents=kind)
    for similarity in THRESHOLDS[:5]:
        line(f"parents connected at {similarity}", parents="connected", similarity=similarity)
    for method in ("slerp", "global"):
        line(f"{method}, parents by label", parents="asked", method=method)
    table(head, rows)
    how = default.model_copy(update={"parents": "asked"})
    chosen = model.parents.chosen(where, model.properties, how)
    crystals = model.made(chosen, KeyedNoise(0, torch.arange(count)), how)
    sound = crystals[crystals.lattice.isfinite().flatten(1).all(1)]
    points = model.encode(model.prepared(TrainingBatch.of(sound)).crystals, ready=True)
    rows = []
    for similarity in THRESHOLDS[:4]:
        edges, share = back_in_the_graph(model, where, points, similarity)
        connected = edges > 0
        rows.append([
            similarity,
            float(connected.double().mean()),
            float((share[connected] > 0.9).double().mean()) if connected.any() else "none connected",
        ])  # fmt: skip
    head = [
        "similarity",
        "generated crystals, encoded again, with an edge",
        "of these: more than 90 % to those on target",
    ]
    table(head, rows)


def pictures(model: MagGen, crystals: TrainingBatch, folder: Path) -> None:
    """Parity of the branches on unseen crystals; the latent space by property."""
    from matplotlib.figure import Figure

    folder.mkdir(parents=True, exist_ok=True)
    kept = model.prepared(crystals)
    said, labels = model.predicted(model.encode(kept.crystals, ready=True)), model.labels(kept)
    plane = principal_components(model.parents.points)
    figure = Figure(figsize=(4 * len(model.properties), 8), layout="constrained")
    axes = figure.subplots(2, len(model.properties), squeeze=False)
    for i, condition in enumerate(model.config.conditions):
        known = labels[:, i].isfinite()
        axes[0][i].plot(labels[known, i], said[known, i], ".", ms=3)
        ends = [float(labels[known, i].min()), float(labels[known, i].max())]
        axes[0][i].plot(ends, ends, "k-", lw=0.6)
        axes[0][i].set(title=condition.name, xlabel=f"label, {condition.unit}", ylabel="branch")
        values = model.parents.known()[:, i]
        dots = axes[1][i].scatter(plane[:, 0], plane[:, 1], c=values, s=2)
        figure.colorbar(dots, ax=axes[1][i])
        axes[1][i].set(xlabel="first component", ylabel="second component")
    figure.savefig(folder / "maggen.png", dpi=150)


if __name__ == "__main__":
    main()
