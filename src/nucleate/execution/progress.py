"""How stages tell how far they are."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with a stage, how many crystals are through it, and how many there are."""


def silent(stage: str, done: int, total: int) -> None:
    """Progress for nobody."""


def counted(progress: Progress, stage: str, start: int, total: int) -> Callable[[int], None]:
    """Progress of a part of a stage, which begins after ``start`` crystals."""

    def update(done: int) -> None:
        progress(stage, start + done, total)

    return update
