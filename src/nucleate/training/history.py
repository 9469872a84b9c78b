"""Loss curves: a CSV for machines, a PNG for eyes."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from nucleate.io.writing import write_whole

_AVERAGED_STEPS = 100


class History:
    """Losses over a training; training losses are averaged over a hundred steps.

    Arguments:
        folder: Where ``losses.csv`` and ``losses.png`` are written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[dict[str, Any]] = []
        self._sums: dict[str, float] = {}
        self._count = 0

    def accumulate(self, step: int, losses: dict[str, float], seconds: float) -> None:
        """Take the losses of one training step."""
        for name, value in losses.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._count += 1
        if self._count == _AVERAGED_STEPS:
            self.flush(step, seconds)

    def flush(self, step: int, seconds: float) -> None:
        """Add a row of the training losses that are not in one yet, if there are any."""
        if self._count:
            self.add(step, "train", {name: value / self._count for name, value in self._sums.items()}, seconds)
            self._sums, self._count = {}, 0

    def add(self, step: int, split: str, losses: dict[str, float], seconds: float) -> None:
        """Add a row."""
        self.rows.append({"step": step, "split": split, "seconds": round(seconds, 1), **losses})

    def state(self) -> dict[str, Any]:
        """Everything, as plain JSON."""
        return {"rows": self.rows, "sums": self._sums, "count": self._count}

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to an earlier :meth:`state`."""
        self.rows, self._sums, self._count = state["rows"], state["sums"], state["count"]

    def write(self) -> None:
        """Write ``losses.csv`` and, once there is a curve, ``losses.png``."""
        if not self.rows:
            return
        text = io.StringIO()
        writer = csv.DictWriter(text, list(self.rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_whole(self.folder / "losses.csv", text.getvalue().encode())
        write_whole(self.folder / "losses.png", self._picture())

    def _picture(self) -> bytes:
        from matplotlib.figure import Figure

        names = [name for name in self.rows[0] if name not in ("step", "split", "seconds")]
        figure = Figure(figsize=(3.2 * len(names), 2.8), layout="constrained")
        for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
            for split, style in (("train", "-"), ("validation", "o-")):
                rows = [row for row in self.rows if row["split"] == split]
                axes.plot([r["step"] for r in rows], [r[name] for r in rows], style, ms=3, lw=1, label=split)
            axes.set(title=name, xlabel="step", ylabel="loss")
        axes.legend(frameon=False)
        data = io.BytesIO()
        figure.savefig(data, format="png", dpi=150)
        return data.getvalue()
