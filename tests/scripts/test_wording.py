"""What docstrings say of shapes and units, and which words they use."""

import pytest
from wording import PRIVATE, PRIVATE_NAMES, comments_in, names_shape, names_unit, private_words, spoken


@pytest.mark.parametrize(
    "text",
    [
        "Losses (B,) of crystals.",
        "Coordinates (B, N, 3).",
        "Values (..., width + 1).",
        "Noise levels (steps + 1,).",
        "Rows (2U, 64).",
        "Sizes (n, MOST_ELEMENTS).",
        "Samples (B, *shape).",
        "Of shape (3, 3).",
        "A 3 × 3 matrix.",
        "A scalar.",
    ],
)
def test_shapes(text):
    assert names_shape(text)


@pytest.mark.parametrize(
    "text",
    [
        "Noise (see the paper, section 2).",
        "Numbers in (0, 1).",
        "Known rows (seed, id).",
        "All (see A, B).",
        "All (of them).",
    ],
)
def test_no_shapes(text):
    assert not names_shape(text)


@pytest.mark.parametrize(
    "text",
    [
        "Energy in eV/atom.",
        "At 300 K.",
        "Cells in Å.",
        "Moment, µB.",
        "Within 5°.",
        "Share of crystals.",
        "50 %",
        "In [0, 1].",
    ],
)
def test_units(text):
    assert names_unit(text)


@pytest.mark.parametrize("text", ["The K nearest.", "Latent states of size T.", "Weights.", "Sharing is on."])
def test_no_units(text):
    assert not names_unit(text)


def test_private_words_with_their_lines():
    text = "Energy in eV.\n\nThe Rivals were settled; a figure of merit."
    assert list(private_words(text, PRIVATE)) == [
        (2, "settled", PRIVATE[r"settl(?:e[sd]?|ing)"]),
        (2, "Rivals", PRIVATE[r"rivals?"]),
    ]


@pytest.mark.parametrize("name", ["RawCrystal", "raw_crystal", "RAW_CRYSTAL", "_parse_raw_crystals"])
def test_names_are_read_as_words(name):
    assert any(True for _ in private_words(spoken(name), PRIVATE | PRIVATE_NAMES))


def test_parts_of_words_are_no_words():
    assert not list(private_words(spoken("untold_rivalry"), PRIVATE | PRIVATE_NAMES))


def test_comments_are_those_for_readers():
    assert comments_in('# why\nx = 1  # noqa: E501\ny = "# no"  # type: ignore[x]\nz = 2  # because\n') == 2
