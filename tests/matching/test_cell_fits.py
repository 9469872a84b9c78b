"""Pairs of reduced cells: the batch answers as the plain matcher does, and alone as in company."""

import itertools

import numpy as np
import pytest
import torch

from nucleate.crystal.crystals import Crystals
from nucleate.io.interop import from_pymatgen
from nucleate.matching import cell_fits
from nucleate.matching.cell_fits import CellGroup, fits, plain_fit, site_key
from nucleate.matching.library import StructureLibrary, uniqueness
from nucleate.matching.reduced_cells import MatchSettings, ReducedCell, reduced_cells

SETTINGS = MatchSettings()


def kinds(structures: list, framework: bool) -> list[list[ReducedCell]]:
    batch = from_pymatgen(structures)
    found: dict[object, list[ReducedCell]] = {}
    for cell in reduced_cells(batch, range(len(batch)), 20.0):
        assert isinstance(cell, ReducedCell)
        found.setdefault(site_key(cell, framework), []).append(cell)
    return [cells for cells in found.values() if len(cells) > 1]


@pytest.mark.parametrize("framework", [False, True])
def test_answers_are_the_plain_matchers(prototypes, noisy, framework) -> None:
    structures = [noisy(p, 100 * i + 10 * j, s) for i, p in enumerate(prototypes()) for j, s in enumerate((0.1, 0.4))]
    structures += [noisy(p, 7 + i, 0.7) for i, p in enumerate(prototypes())] + prototypes()
    matcher = SETTINGS.matcher(framework)
    answers = []
    for cells in kinds(structures, framework):
        i, j = np.array(list(itertools.permutations(range(len(cells)), 2))).T
        group = CellGroup(tuple(cells), framework)
        found, reasons = fits(group, i, group, j, SETTINGS)
        assert not reasons
        assert found.tolist() == [plain_fit(matcher, cells[a], cells[b], 60.0) for a, b in zip(i, j, strict=True)]
        alone = [fits(group, i[k : k + 1], group, j[k : k + 1], SETTINGS)[0][0] for k in range(0, len(i), 7)]
        assert alone == found[::7].tolist()
        answers += found.tolist()
    assert len(answers) > 80
    assert 0.1 < np.mean(answers) < 0.9


def test_most_pairs_need_no_plain_matcher(prototypes, noisy, monkeypatch) -> None:
    calls = []
    monkeypatch.setattr(cell_fits, "plain_fit", lambda *arguments: calls.append(arguments) or 0)
    total = 0
    for cells in kinds([noisy(p, 9 * i + j, 0.3) for i, p in enumerate(prototypes()) for j in range(6)], False):
        i, j = np.array(list(itertools.permutations(range(len(cells)), 2))).T
        group = CellGroup(tuple(cells), False)
        fits(group, i, group, j, SETTINGS)
        total += len(i)
    assert len(calls) < 0.2 * total  # noisy small symmetric cells are the hardest


def strange_crystals() -> Crystals:
    rng = np.random.default_rng(0)
    eye = np.eye(3)
    return Crystals.from_lists(
        [[3]] * 7 + [[3, 3], [3] * 60],
        [[[0, 0, 0]]] * 7 + [[[0, 0, 0], [0, 0, 0]], rng.random((60, 3)).tolist()],
        [
            (eye * np.nan).tolist(),
            np.zeros((3, 3)).tolist(),
            (3 * eye).tolist(),
            (3 * eye).tolist(),
            np.diag([0.6, 0.6, 290.0]).tolist(),
            np.diag([0.6, 0.7, 295.0]).tolist(),
            [[3, 0, 0], [2.9999, 0.5, 0], [0, 0, 3]],
            (3 * eye).tolist(),
            (20 * eye).tolist(),
        ],
    )


def test_strange_crystals_neither_raise_nor_hang() -> None:
    crystals = strange_crystals()
    twice = Crystals.concatenate([crystals, crystals])
    settings = MatchSettings(seconds=60.0)  # bounded without a clock
    table = uniqueness(twice, settings)
    assert len(table) == 18
    assert table["is_unique"].isna()[[0, 1, 9, 10]].all()
    assert table["is_unique"][[2, 3]].tolist() == [True, False]
    assert (table["uniqueness_reason"] != "").equals(table["is_unique"].isna())
    assert table["uniqueness_reason"].str.contains("elongated").any()
    matches = StructureLibrary.of(crystals, settings, framework=True).find_all(crystals[[0, 2, 3]])
    assert [match.index for match in matches] == [None, 2, 2]


def test_taking_in_parts_is_taking_at_once(prototypes, disguised, noisy) -> None:
    structures = [noisy(p, 11 * i + j, 0.4) for i, p in enumerate(prototypes()) for j in range(4)]
    structures += [disguised(p, i) for i, p in enumerate(structures)]
    batch = from_pymatgen(structures)
    batch = batch[torch.from_numpy(np.random.default_rng(0).permutation(len(batch)))]
    together = StructureLibrary().take(batch)
    library = StructureLibrary()
    parts = [
        match
        for start in range(0, len(batch), 7)
        for match in library.take(batch[start : start + 7], range(start, min(start + 7, len(batch))))
    ]
    assert parts == together
    assert {match.is_known for match in parts} == {True, False}
