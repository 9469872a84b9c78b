"""Drawings: safe, without ids, the same bytes each time, and in the colours of the page."""

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nucleate.report.document import asset
from nucleate.report.svg_figure import COLOURS, Name, colour, standalone, svg_figure


def draw(words="text", tip="tip", key="c1"):
    with svg_figure(300, 200, f"about {words}") as made:
        (spots,) = made.axes.plot([0.2, 0.5], [0.1, 0.9], "o", color=colour("d0"))
        made.tip(spots, [tip, "other"], [key, ""])
        (bar,) = made.axes.bar([0.7], [0.5], 0.1, color=colour("bar"))
        made.tip(bar, tip)
        made.axes.set(xlim=(0, 1), ylim=(0, 1), xlabel=words)
        made.words(0.5, 0.5, words, halo=True)
        return made.svg()


def test_colours_are_the_pages_in_light_and_dark():
    palette = asset("palette.css")
    assert all(len(re.findall(rf"--{name}: #", palette)) == 3 for name in COLOURS)
    svg = draw()
    assert {"var(--d0)", "var(--bar)", "var(--soft)", "var(--rule)"} <= set(re.findall(r"var\([^)]+\)", svg))
    assert not re.findall(r"#[0-9a-f]{6}", svg)


def test_no_ids_no_fonts_and_equal_bytes():
    svg = draw()
    assert svg == draw()
    for word in (" id=", "clip-path", "font-family", "xlink", "url(", "DejaVu", "<use", "<metadata"):
        assert word not in svg
    assert len(svg) < 4000


def test_marks_have_their_tips_and_open_their_candidates():
    svg = ElementTree.fromstring(draw(tip="a < b", key="c<1>"))
    circles = svg.findall(".//circle")
    assert [circle.find("title").text for circle in circles] == ["a < b", "other"]
    assert [circle.get("data-open") for circle in circles] == ["c<1>", None]
    titles = [title.text for title in svg.iter("title")]
    assert titles.count("a < b") == 2


def test_places_are_px_from_the_upper_left():
    with svg_figure(300, 200, "x", left=50, right=10, top=20, bottom=40) as made:
        made.axes.set(xlim=(0, 1), ylim=(0, 1))
        assert made.place(0, 0) == pytest.approx((50, 160))
        assert made.place(1, 1) == pytest.approx((290, 20))
        made.axes.plot([0.5], [0.5], "o", color=colour("ink"))
        circle = ElementTree.fromstring(made.svg()).find(".//circle")
    assert (float(circle.get("cx")), float(circle.get("cy"))) == pytest.approx((170, 90))


@settings(deadline=None, max_examples=25)
@given(st.text(max_size=20))
def test_any_text_can_be_drawn_and_stays_text(words):
    svg = ElementTree.fromstring(draw(words, "a tip"))
    assert {node.tag for node in svg.iter()} <= {"svg", "g", "path", "text", "circle", "title"}


def test_text_is_what_was_written():
    svg = ElementTree.fromstring(draw("<b>\x1f & Å"))
    assert [text.text for text in svg.iter("text")].count("<b> & Å") == 2


def test_formulas_of_dollars_are_no_mathematics():
    assert "a$x^2$b" in draw("a$x^2$b")


def test_names_cover_neither_each_other_nor_points():
    points = [(0.5, 0.5), (0.52, 0.5), (0.5, 0.46), (0.9, 0.1)]
    with svg_figure(400, 300, "x") as made:
        made.axes.set(xlim=(0, 1), ylim=(0, 1))
        made.names([Name(*point, f"LiMn{i}", is_new=i == 0) for i, point in enumerate(points)], points)
        texts = [text for text in ElementTree.fromstring(made.svg()).iter("text") if "LiMn" in (text.text or "")]
        assert "LiMn0" in {text.text for text in texts}
        assert "LiMn3" in {text.text for text in texts}
        boxes = [(float(text.get("x")), float(text.get("y"))) for text in texts]
    for i, (x, y) in enumerate(boxes):
        assert all(abs(x - p) > 30 or abs(y - q) > 12 for p, q in boxes[:i])


def test_a_file_of_its_own_has_its_colours():
    root = ElementTree.fromstring(standalone(draw()))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "--bar:" in root.find("{http://www.w3.org/2000/svg}style").text
