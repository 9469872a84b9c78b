"""Crystals drawn until they lie low enough: which are kept, what is said of it, and that a stop changes nothing."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import torch

from nucleate.campaign.design import design
from nucleate.campaign.export import run_summary
from nucleate.conditions.request import Conditions
from nucleate.crystal.crystals import Crystals
from nucleate.data.reference import Reference
from nucleate.errors import UserError
from nucleate.families.registry import load_generator
from nucleate.matching.library import StructureLibrary, uniqueness
from nucleate.potentials.potential import Evaluation, TooManyBondsError
from nucleate.screening.prefilter import MOST_DRAWS, EnergyPrefilter, energies_above_hull, energies_per_atom

LIMIT = 1.5
"""eV/atom; every other random crystal lies lower in EMT."""


class Stream:
    """Crystal i is a cube of edge 3 + i / 1000 Å, whatever it is asked together with; how it was asked is kept.

    All are of different elements, or of those that are given.
    """

    name = "stream"

    def __init__(self, elements=range(1, 110)):
        self.asked = []
        self.elements = list(elements)

    def sample(self, n, where=None, seed=0, start=0, progress=None):
        self.asked.append((start, n))
        cells = [torch.eye(3, dtype=torch.float64) * (3 + i / 1000) for i in range(start, start + n)]
        numbers = [[self.elements[i % len(self.elements)]] for i in range(start, start + n)]
        return Crystals.from_lists(numbers, [[[0.0, 0, 0]]] * n, cells)


def number_of(crystals):
    return [round((float(cell[0, 0]) - 3) * 1000) for cell in crystals.lattice]


def drawn(n, start, limit, height, stream=None, earlier=None):
    stream, earlier = stream or Stream(), earlier or StructureLibrary()
    prefilter = EnergyPrefilter(limit, lambda some: [height(i) for i in number_of(some)], earlier)
    found = prefilter.draw(stream, Conditions(), n, 0, start, lambda _: None)
    assert number_of(found.crystals) == found.numbers
    assert sum(count for _, count in stream.asked) == found.stop - start
    return found


def test_the_first_low_ones_are_kept_in_their_order():
    found = drawn(4, 10, 0.1, lambda i: 0.0 if i % 3 == 0 else 1.0)
    assert found.numbers == [12, 15, 18, 21]
    assert found.stop > 21


def test_the_lowest_fill_up_what_ten_draws_do_not_give():
    found = drawn(4, 0, 0.1, lambda i: 0.0 if i == 25 else 1.0 + 0.01 * ((i * 7) % 40))
    assert found.stop == 4 * MOST_DRAWS
    assert found.numbers == sorted([25, *sorted(set(range(40)) - {25}, key=lambda i: (i * 7) % 40)[:3]])


def test_repeats_are_passed_over():
    found = drawn(3, 0, 0.1, lambda _: 0.0, Stream([29, 29, 30, 29, 31]))
    assert found.numbers == [0, 2, 4]


def test_repeats_of_earlier_groups_are_passed_over():
    earlier = StructureLibrary.of(Stream([30]).sample(1))
    found = drawn(2, 0, 0.1, lambda _: 0.0, Stream([29, 30, 31]), earlier)
    assert found.numbers == [0, 2]
    assert len(earlier) == 1


def test_repeats_come_last_where_nothing_else_is_left():
    found = drawn(3, 0, 0.1, lambda i: 0.0 if i % 2 == 0 else 5.0, Stream([29, 30]))
    assert 0 in found.numbers
    assert [i % 2 for i in found.numbers] == [0, 1, 1]


def test_crystals_of_unknown_place_are_kept():
    assert drawn(3, 0, 0.1, lambda _: float("nan")).numbers == [0, 1, 2]


def test_one_that_the_potential_fails_on_is_lost_alone():
    class Moody:
        outside_seconds = 0.0

        def evaluate(self, crystals):
            if (crystals.lattice[:, 0, 0] == 3.001).any():
                raise TooManyBondsError("a collapsed cell")
            zero = torch.zeros(len(crystals), 1, 3)
            return Evaluation(crystals.lattice[:, 0, 0], zero, torch.zeros(len(crystals), 3, 3), zero[..., 0])

    found = energies_per_atom(Stream().sample(3), Moody())
    assert found == pytest.approx([3.0, float("inf"), 3.002])


def test_what_is_no_crystal_is_infinitely_high_and_never_evaluated(metals, screening):
    """The potential would hang on a flat cell, run out of memory on a flatter one, and know nothing of a NaN."""
    cube, off = torch.eye(3, dtype=torch.float64) * 3.6, [[0.0, 0, 0]]
    flat = torch.diag(torch.tensor([1e-3, 300.0, 300.0], dtype=torch.float64))
    crystals = Crystals.from_lists(
        [[29], [], [29], [29], [29]], [off, [], off, [[float("nan"), 0, 0]], off], [cube, cube, flat, cube, cube * 1.01]
    )
    found = energies_above_hull(Reference.load(metals), screening)(crystals)
    assert [height < 10 for height in found] == [True, False, False, False, True]
    assert found[1:4] == [float("inf")] * 3


def test_heights_are_those_of_single_evaluations(metals, screening):
    """Against ASE's own EMT and the definition: energy over the elements less the hull's energy at the composition."""
    from ase import Atoms
    from ase.calculators import emt

    reference = Reference.load(metals)
    crystals = load_generator("random", "cpu").sample(5, Conditions.parse({"chemical_system": "Cu-Au"}), 3)
    found = energies_above_hull(reference, screening)(crystals)
    for i, height in enumerate(found):
        numbers, frac, lattice = (part.numpy() for part in crystals.sites(i))
        atoms = Atoms(numbers, cell=lattice, scaled_positions=frac, pbc=True, calculator=emt.EMT())
        gold = float((atoms.numbers == 79).mean())
        hull = -0.05 * 2 * min(gold, 1 - gold)
        assert height == pytest.approx(atoms.get_potential_energy() / len(atoms) - hull, abs=1e-6)


def test_a_run_keeps_what_lies_low_and_says_so(request_for, tmp_path):
    plain = design(request_for(n=6), tmp_path / "plain", workers=1)
    settings = request_for(n=6, draw_below=LIMIT)
    run = design(settings, tmp_path / "low", workers=1)
    table = run.candidates()
    stop = run.record.drawn[6]
    stream = load_generator("random", "cpu").sample(stop, settings.where, 0)
    heights = energies_above_hull(Reference.load(settings.screen.reference), settings.screen)(stream)
    first = uniqueness(stream[[i for i, height in enumerate(heights) if height <= LIMIT]])["is_unique"]
    low = [i for i, one in zip([i for i, h in enumerate(heights) if h <= LIMIT], first, strict=True) if one]
    assert 0 < len(low) < stop
    assert table["id"].tolist() == [f"c{i:06d}" for i in low[:6]]
    both = sorted(set(table["id"]) & set(plain.candidates()["id"]))
    for name in both:
        rows = [t.set_index("id").loc[name] for t in (table, plain.candidates())]
        assert np.array_equal(np.concatenate(rows[0]["frac"]), np.concatenate(rows[1]["frac"]))
        assert np.array_equal(np.concatenate(rows[0]["lattice"]), np.concatenate(rows[1]["lattice"]))
    summary = run_summary(run)
    assert f"kept of {stop} generated, different ones at most {LIMIT:g} eV/atom above the hull" in str(summary.protocol)
    assert "every crystal generated" in str(run_summary(plain).protocol)
    assert f"at most {LIMIT:g} eV/atom above the hull as generated" in run.record.protocol.candidates_drawn
    assert plain.record.protocol.candidates_drawn is None
    assert run.record.timings["generate"].crystals == 6


def test_a_run_that_goes_on_draws_the_same(request_for, tmp_path, monkeypatch):
    monkeypatch.setattr("nucleate.campaign.design.SAMPLED_TOGETHER", 4)
    settings = request_for(n=10, draw_below=LIMIT)
    settings = settings.model_copy(update={"screen": settings.screen.model_copy(update={"chunk_size": 2})})
    whole = design(settings, tmp_path / "run", workers=1)
    before = whole.candidates()
    assert sorted(whole.record.drawn) == [4, 8, 10]
    assert before["id"].is_monotonic_increasing
    assert before["id"].is_unique
    stood = dict(whole.record.drawn)
    for chunk in (1, 3, 4):
        whole.generated_path(chunk).unlink()
        whole.candidates_path(chunk).unlink()
    again = design(settings, tmp_path / "run", resume=True, workers=1)
    pd.testing.assert_frame_equal(again.candidates(), before)
    assert again.record.drawn == stood


def test_a_followed_protocol_names_the_choice_among_its_departures(request_for, tmp_path):
    settings = request_for(n=2, draw_below=LIMIT)
    screen = settings.screen.model_copy(update={"protocol": "mattergen"})
    run = design(settings.model_copy(update={"screen": screen}), tmp_path / "run", workers=1)
    assert any("chosen by their energy" in line for line in run.record.protocol.deviations)


def test_a_run_of_before_the_option_goes_on(request_for, tmp_path):
    run = design(request_for(n=4), tmp_path / "run", workers=1)
    path = run.folder / "run.json"
    record = json.loads(path.read_text())
    del record["settings"]["draw_below"]
    path.write_text(json.dumps(record))
    design(request_for(n=4), tmp_path / "run", resume=True, workers=1)
    with pytest.raises(UserError, match="draw_below"):
        design(request_for(n=4, draw_below=0.1), tmp_path / "run", resume=True, workers=1)


def test_a_reference_of_another_scale_is_refused(request_for, tmp_path):
    settings = request_for(n=2, draw_below=0.1)
    other = dataclasses.replace(Reference.load(settings.screen.reference), record={"potential": "another potential"})
    other.save(tmp_path / "other")
    screen = settings.screen.model_copy(update={"reference": str(tmp_path / "other")})
    with pytest.raises(UserError, match="--draw-below: found a reference on the scale of another potential"):
        design(settings.model_copy(update={"screen": screen}), tmp_path / "run", workers=1)
    assert not (tmp_path / "run").exists()
