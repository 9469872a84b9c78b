"""Names beside points of a picture, so that none covers another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from nucleate.report.svg import Scale

LETTER, LINE = 5.6, 12.0
"""Width of a letter and height of a line of notes, in px."""
GAP = 7.0
"""Between a point and its name."""
PRICE = 10.0
"""Px that a name rather moves than that it covers one px² of something else."""
Box = tuple[float, float, float, float]
"""Left, top, right, bottom in px."""


class PointLabel(NamedTuple):
    """Where a name stands: its base line, its anchor, and whether it is so far off that a line should lead there."""

    x: float
    y: float
    anchor: str
    is_far: bool


def point_labels(
    points: Sequence[tuple[float, float]], names: Sequence[str], covered: Sequence[Box], x: Scale, y: Scale
) -> list[PointLabel]:
    """A place for each name: right or left of its point, as near to its height as others leave room.

    Arguments:
        points: In px.
        names: One for each.
        covered: What each point and its interval cover.
        x: Scale of the picture; no name leaves its range.
        y: The same for heights.
    """
    taken = list(covered)
    found: dict[int, PointLabel] = {}
    for i in sorted(range(len(points)), key=lambda k: points[k][1]):
        (px, py), width = points[i], LETTER * len(names[i])
        best, least = PointLabel(px + GAP, py + LINE / 3, "start", is_far=False), float("inf")
        for step in range(12):
            for shift in (step * LINE / 2, -step * LINE / 2):
                for anchor in ("start", "end"):
                    left = px + GAP if anchor == "start" else px - GAP - width
                    box = (left, py + shift - LINE / 2, left + width, py + shift + LINE / 2)
                    outside = left < x.start or left + width > x.end or box[1] < y.end or box[3] > y.start
                    cost = 1e6 * outside + PRICE * sum(_overlap(box, other) for other in taken) + abs(shift)
                    if cost < least:
                        at = px + GAP if anchor == "start" else px - GAP
                        best, least = PointLabel(at, py + shift + LINE / 3, anchor, abs(shift) > LINE), cost
        found[i] = best
        left = best.x if best.anchor == "start" else best.x - width
        taken.append((left, best.y - LINE * 5 / 6, left + width, best.y + LINE / 6))
    return [found[i] for i in range(len(points))]


def _overlap(one: Box, other: Box) -> float:
    """Area that two boxes share, in px²."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0.0) * max(height, 0.0)
