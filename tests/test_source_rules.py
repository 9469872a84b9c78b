"""Rules that hold for every source file."""

from pathlib import Path

import house
import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
FORBIDDEN = {"utils", "util", "common", "helpers", "helper", "misc", "globals"}
LIMIT = 400
TENSORS_ALONE = [
    ROOT / "src" / "nucleate" / place
    for place in ("potentials/chgnet.py", "families/mattergen/checkpoint_reader.py", "io/confined_reader.py")
]
"""What reads CHGNet's own wheel, and what reads public files in a process of its own: only tensors, once each."""


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_a_module_is_one_idea(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LIMIT
    assert not FORBIDDEN & {part.removesuffix(".py") for part in path.relative_to(ROOT / "src").parts}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_nothing_unpickles(path):
    text = path.read_text(encoding="utf-8")
    if path in TENSORS_ALONE:
        assert text.count("torch.load(") == text.count("weights_only=True") == 1
        text = text.replace("weights_only=True", "", 1).replace("torch.load(", "", 1)
    for word in ("import pickle", "torch.load(", "allow_pickle=True", "read_pickle"):
        assert word not in text


@pytest.fixture(scope="module")
def measures():
    return {measure.key: measure for measure in house.House(ROOT).measures()}


@pytest.mark.parametrize("key", ["circles", "local-circles", "layers", "mirrors", "campaign"])
def test_the_house_is_built_as_planned(measures, key):
    assert [str(offender) for offender in measures[key].offenders] == []
