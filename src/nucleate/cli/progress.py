"""Progress on standard error: bars on a terminal, a line now and then elsewhere; rate and time left in both."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LINE_EVERY_SECONDS = 10.0
NAMES = {"generate": "generating", "relax": "relaxing", "train": "training"}


@contextmanager
def shown_progress(unit: str = "crystals") -> Iterator[Callable[[str, int, int], None]]:
    """A callable for ``progress=`` arguments: stage, done, total."""
    if sys.stderr.isatty():
        with _bars(unit) as update:
            yield update
    else:
        yield _Lines(unit)


@contextmanager
def _bars(unit: str) -> Iterator[Callable[[str, int, int], None]]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            return Text("" if speed is None else _rate(speed, unit))

    columns = (
        TextColumn("{task.description:>10}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks = {}

        def update(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(NAMES.get(stage, stage), total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield update


class _Lines:
    """Plain lines for logs: the first, the last, and one every few seconds."""

    def __init__(self, unit: str) -> None:
        self.unit = unit
        self.began: dict[str, tuple[float, int]] = {}
        self.last: dict[str, float] = {}

    def __call__(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        began, first = self.began.setdefault(stage, (now, done))
        if done < total and now - self.last.get(stage, -LINE_EVERY_SECONDS) < LINE_EVERY_SECONDS:
            return
        if done == total and self.last.get(stage) == float("inf"):
            return
        self.last[stage] = float("inf") if done == total else now
        text = f"{NAMES.get(stage, stage)} {done}/{total}"
        if done > first and now > began:
            speed = (done - first) / (now - began)
            left = f", {_clock((total - done) / speed)} left" if done < total else f" in {_clock(now - began)}"
            text += f", {_rate(speed, self.unit)}{left}"
        print(text, file=sys.stderr, flush=True)  # noqa: T201


def _rate(per_second: float, unit: str) -> str:
    return f"{per_second:.1f} {unit}/s" if per_second >= 1 else f"{60 * per_second:.1f} {unit}/min"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
