"""Evaluation of candidates: stages on whole columns, one answer whatever the chunks, failures that keep their row."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from nucleate.conditions.request import Conditions
from nucleate.crystal.crystals import Crystals
from nucleate.data.reference import Reference
from nucleate.errors import Status
from nucleate.io.validation import Failure
from nucleate.relaxation.relaxer import Relaxed
from nucleate.runs.candidates import Candidates
from nucleate.screening.evaluator import CandidateEvaluator, meets_request, place_on_hull, with_relaxations
from nucleate.settings import ScreenSettings

HOME, CENTRE = [0.0] * 3, [0.5] * 3
FCC = [[0.0, 2.0, 2.0], [2.0, 0.0, 2.0], [2.0, 2.0, 0.0]]
CUBE = [[3.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 3.0]]


@pytest.fixture(scope="module")
def bundled():
    return Reference.load("bundled")


def evaluator(reference, **options):
    return CandidateEvaluator(ScreenSettings(descriptors="none"), reference, **options)


def candidates(*crystals, failed=()):
    """Candidates of (numbers, lattice); those at ``failed`` could not be read."""
    sites = [[HOME, CENTRE][: len(numbers)] for numbers, _ in crystals]
    batch = Crystals.from_lists([numbers for numbers, _ in crystals], sites, [cell for _, cell in crystals])
    good = Candidates.from_crystals(batch, [f"c{i}" for i in range(len(batch))], "test")
    bad = [Failure(i, f"f{i}", Status.INVALID_INPUT, "unreadable") for i in failed]
    return Candidates.concatenate([good, Candidates.from_failures(bad, [one.id for one in bad], "test")])


def relaxed_as_given(generated, energies):
    """Outcomes of relaxations that move nothing."""
    parts = [[part.numpy() for part in generated.crystals.sites(i)] for i in range(len(energies))]
    return {i: Relaxed(Status.OK, "", *parts[i], energy_per_atom=energy) for i, energy in enumerate(energies)}


def test_an_energy_that_no_crystal_has_is_a_failure_of_the_potential(bundled):
    element = bundled.element_energies[13]
    generated = candidates(([13], FCC), ([13], FCC))
    found = evaluator(bundled).evaluate(generated, relaxed_as_given(generated, [element + 0.01, element - 300]))
    assert found.column("status").tolist() == [Status.OK, Status.EXPLODED]
    assert found.column("is_stable").tolist() == [True, False]
    assert found.column("formation_energy")[0] == pytest.approx(0.01)
    assert "-300 eV/atom" in found.column("reason")[1]
    assert found.column("energy_above_hull").isna().tolist() == [False, True]
    assert found.column("energy_per_atom").isna().tolist() == [False, True]
    assert found.has_relaxed.tolist() == [True, False]


def test_chunks_evaluate_as_the_whole(bundled):
    cells = [([13], FCC), ([55, 17], CUBE), ([13], FCC), ([26], CUBE), ([55, 17], CUBE)]
    generated = candidates(*cells, failed=(7,))
    outcomes = relaxed_as_given(generated, [-3.5, -3.0, -3.6, -8.0, -3.1])
    whole = evaluator(bundled).evaluate(generated, outcomes)
    apart = evaluator(bundled)
    parts = [
        apart.evaluate(generated[start : start + 2], {i - start: outcomes[i] for i in outcomes if 0 <= i - start < 2})
        for start in range(0, 6, 2)
    ]
    together = Candidates.concatenate(parts).table
    assert whole.column("is_unique").tolist()[:5] == [True, True, False, True, False]
    assert whole.column("duplicate_of").tolist()[2] == "c0"
    for name in whole.table:
        np.testing.assert_array_equal(whole.column(name).isna(), together[name].isna())
        assert whole.column(name).dropna().tolist() == together[name].dropna().tolist(), name


def test_what_was_evaluated_before_is_compared_with(bundled):
    generated = candidates(([13], FCC), ([26], CUBE))
    outcomes = relaxed_as_given(generated, [-3.5, -8.0])
    first = evaluator(bundled).evaluate(generated, outcomes)
    resumed = evaluator(bundled)
    resumed.remember(first)
    again = resumed.evaluate(generated, outcomes)
    assert again.column("is_unique").tolist() == [False, False]
    assert again.column("duplicate_of").tolist() == ["c0", "c1"]


def test_a_crystal_that_could_not_be_read_keeps_its_row(bundled):
    found = evaluator(bundled).evaluate(candidates(failed=(0, 1)), {})
    assert len(found) == 2
    assert found.column("status").tolist() == [Status.INVALID_INPUT] * 2
    assert found.column("is_unique").isna().all()
    assert found.column("is_stable").tolist() == [False, False]


def test_only_what_ended_with_a_structure_has_a_relaxed_crystal():
    statuses = (Status.OK, Status.UNCONVERGED, Status.TIME_LIMIT, Status.ERROR, Status.NOT_FINITE, Status.REPEATED)
    generated = candidates(*[([13], FCC)] * len(statuses))
    outcomes = relaxed_as_given(generated, [-3.5] * len(statuses))
    outcomes = {i: replace(outcomes[i], status=status) for i, status in enumerate(statuses)}
    found = with_relaxations(generated, outcomes)
    assert found.has_relaxed.tolist() == [True, True, True, False, False, False]
    assert found.column("energy_per_atom").notna().tolist() == found.has_relaxed.tolist()
    assert found.column("status").tolist() == list(statuses)


def test_a_reference_of_another_scale_places_nothing(bundled):
    generated = candidates(([13], FCC))
    found = place_on_hull(with_relaxations(generated, relaxed_as_given(generated, [-3.5])), bundled, "another")
    assert found.column("status").tolist() == [Status.NO_REFERENCE]
    assert "scale" in found.column("reason")[0]
    assert found.column("formation_energy").isna().all()


def test_evaluated_anew_with_the_same_reference_nothing_changes(bundled):
    generated = candidates(([13], FCC), ([55, 17], CUBE), ([26], CUBE), failed=(3,))
    found = evaluator(bundled).evaluate(generated, relaxed_as_given(generated, [-3.5, -3.0, -300.0]))
    again = evaluator(bundled).reevaluate(found)
    for name in found.table:
        assert again.column(name).dropna().tolist() == found.column(name).dropna().tolist(), name


def test_a_miss_counts_as_a_miss():
    found = candidates(([3, 8], CUBE), failed=(1,))
    twice = Crystals.from_lists([[3, 3, 8]], [[HOME] * 3], [torch.tensor(CUBE)])
    found = Candidates.concatenate([Candidates.from_crystals(twice, ["a"], "test"), found[1:]])
    found = found.with_columns({"space_group": [225, None], "relaxed_space_group": [None, None]})
    answers = {
        "chemical_system=Li-O": True,
        "chemical_system=Li-Mn-O": False,
        "chemical_system=Li": False,
        "composition=Li4O2": True,
        "composition=LiO": False,
        "n_atoms=3": True,
        "n_atoms=4..8": False,
        "space_group=225": True,
        "space_group=1": False,
    }
    assert {text: meets_request(found, Conditions.parse([text])).tolist() for text in answers} == {
        text: [answer, False] for text, answer in answers.items()
    }
    assert meets_request(found, Conditions.parse(["chemical_system=Li-Mn-O"], allow_subsystems=True)).tolist() == [
        True,
        False,
    ]
    relaxed = found.with_columns({"relaxed_space_group": [1, None]})
    assert meets_request(relaxed, Conditions.parse(["space_group=1"])).tolist() == [True, False]
