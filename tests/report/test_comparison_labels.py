"""Names beside points: none on another where there is room, none outside, near their points."""

import random

import pytest

from nucleate.report.comparison import LETTER, LINE, point_labels

ROOM = (52, 14, 540, 256)


def covered(points):
    return [(px - 5, py - 5, px + 5, py + 5) for px, py in points]


def boxes(places, names):
    for place, name in zip(places, names, strict=True):
        width = LETTER * len(name)
        left = place.x if place.anchor == "left" else place.x - width
        yield left, place.y - LINE * 5 / 6, left + width, place.y + LINE / 6


def test_a_lone_name_stands_at_the_height_of_its_point():
    (place,) = point_labels([(100, 100)], ["pigen-mp"], [(95, 95, 105, 105)], ROOM)
    assert place.anchor == "left"
    assert not place.is_far
    assert place.y == pytest.approx(100 + LINE / 3)


def test_a_name_at_the_right_edge_goes_to_the_left():
    (place,) = point_labels([(535, 100)], ["pigen-mp"], [(530, 95, 540, 105)], ROOM)
    assert place.anchor == "right"


@pytest.mark.parametrize("seed", range(20))
def test_names_of_crowded_points_cover_neither_each_other_nor_points(seed):
    dice = random.Random(seed)
    names = [f"{'n' * dice.randint(5, 14)}{i}" for i in range(8)]
    points = [(300 + 40 * dice.random(), 60 + 130 * dice.random()) for _ in names]
    placed = list(boxes(point_labels(points, names, covered(points), ROOM), names))
    for i, (left, top, right, bottom) in enumerate(placed):
        assert ROOM[0] <= left
        assert right <= ROOM[2]
        assert ROOM[1] <= top
        assert bottom <= ROOM[3]
        for other in placed[:i]:
            assert right <= other[0] or other[2] <= left or bottom <= other[1] + 1e-9 or other[3] <= top + 1e-9
        assert not any(left < px < right and top < py < bottom for px, py in points)
