"""What is kept of a reference: the same as computed anew, found by content, and a damaged entry is no harm."""

import json

import pandas as pd
import pytest

from nucleate.crystal.crystals import Crystals
from nucleate.data.reference import Reference
from nucleate.descriptors.geometry import compactness
from nucleate.matching.prototypes import aflow_prototypes, commonest_prototypes
from nucleate.screening import reference_profile
from nucleate.screening.reference_profile import PROFILED, SAMPLE, known_types

HOME, CENTRE = [0.0] * 3, [0.5] * 3


@pytest.fixture
def salts(tmp_path, monkeypatch):
    """Two halides of one structure type and a metal of another; only one has its label among the phases."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    cells = [[[a, 0.0, 0.0], [0.0, a, 0.0], [0.0, 0.0, a]] for a in (4.1, 4.6, 2.9)]
    crystals = Crystals.from_lists([[55, 17], [55, 35], [26, 26]], [[HOME, CENTRE]] * 3, cells)
    phases = pd.DataFrame(
        {
            "id": ["a"],
            "formula": ["CsCl"],
            "formation_energy": [-2.0],
            "source": ["test"],
            "label": ["AB_cP2_221_a_b:Cl-Cs"],
        }
    )
    reference = Reference("salts", {17: 0.0, 26: 0.0, 35: 0.0, 55: 0.0}, phases, crystals, ("a", "b", "c"))
    reference.save(tmp_path / "salts")
    return reference, str(tmp_path / "salts")


def test_the_references_types_come_first(salts):
    reference, name = salts
    types = known_types(reference, name)
    expected = commonest_prototypes(reference.structures)
    assert types.types[: len(expected)] == expected.types
    assert types.types[0].label == "AB_cP2_221_a_b"
    assert types.types[0].count == 2
    labels = [kind.label for kind in types.types]
    assert not {kind.label for kind in expected.types} & set(labels[len(expected) :])
    assert {kind.label for kind in aflow_prototypes().types} <= set(labels)


def test_it_is_kept_and_read_again(salts, tmp_path, monkeypatch):
    reference, name = salts
    first = known_types(reference, name)
    kept = list((tmp_path / "cache" / "nucleate" / "references").iterdir())
    assert len(kept) == 1
    monkeypatch.setattr(reference_profile, "_labels", lambda _: pytest.fail("computed twice"))
    assert known_types(reference, name).types == first.types
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    kept[0].write_text("{")
    assert known_types(reference, name).types == first.types
    assert json.loads(kept[0].read_text())


def test_a_cache_that_cannot_be_written_costs_time_only(salts, tmp_path, monkeypatch):
    reference, name = salts
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert known_types(reference, name).types[0].count == 2


def test_the_spread_holds_every_value(salts):
    reference, _ = salts
    spread = reference_profile._spread(reference, "compactness")
    low, high, bins = PROFILED["compactness"]
    values = compactness(reference.structures).clamp(low, high)
    counts = [0] * bins
    for value in values.tolist():
        counts[min(int((value - low) / (high - low) * bins), bins - 1)] += 1
    assert spread["counts"] == counts
    assert (spread["known"], spread["sampled"]) == (3, 3)
    assert SAMPLE >= 3


def test_an_empty_reference(salts):
    reference, _ = salts
    empty = Reference("empty", {}, reference.phases)
    assert sum(reference_profile._spread(empty, "compactness")["counts"]) == 0
    assert reference_profile._labels(empty) == []
