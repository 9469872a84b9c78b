"""Candidate bases are those of pymatgen's search, and no cell makes the search long."""

import numpy as np
import pytest
from pymatgen.core import Lattice

from nucleate.matching.lattice_mappings import (
    LatticeVectors,
    candidate_bases,
    determinant,
    lengths_and_angles,
    may_map,
    slices,
    spans,
)


def reduced_cells(count: int, seed: int) -> np.ndarray:
    """Reduced cells of volume 1, some of them symmetric."""
    rng = np.random.default_rng(seed)
    cells = []
    for k in range(count):
        matrix = np.eye(3) if k % 5 == 0 else np.eye(3) + rng.normal(0, 0.35, (3, 3))
        cell = Lattice(matrix).get_niggli_reduced_lattice().matrix
        cells.append(cell / abs(np.linalg.det(cell)) ** (1 / 3))
    return np.array(cells)


def test_bases_are_those_of_pymatgen() -> None:
    cells = reduced_cells(14, 0)
    i, j = (part.ravel() for part in np.meshgrid(range(len(cells)), range(len(cells))))
    lengths, angles = lengths_and_angles(cells)
    table = LatticeVectors(cells, np.full(len(cells), lengths.max() * 1.3))
    found = candidate_bases(table, i, lengths[j], angles[j], 0.2, 5.0)
    assert found.searched.all()
    assert found.sure.mean() > 0.95  # the cubic cells meet some bounds within rounding
    possible = may_map(lengths[i], lengths[j], 0.2)
    total = 0
    for pair in range(len(i)):
        mappings = Lattice(cells[i[pair]]).find_all_mappings(Lattice(cells[j[pair]]), 0.2, 5.0, True)
        expected = {tuple(m.ravel()) for _, _, m in mappings if abs(round(np.linalg.det(m))) == 1}
        mine = found.pair == pair
        assert {tuple(m.ravel()) for m in found.matrix[mine & found.sure]} <= expected
        assert expected <= {tuple(m.ravel()) for m in found.matrix[mine]}
        assert possible[pair] or not expected
        total += len(expected)
    assert total > 400


def test_long_searches_are_not_made() -> None:
    cells = np.array([np.eye(3), np.diag([0.02, 0.02, 2500.0])])
    lengths, angles = lengths_and_angles(cells)
    table = LatticeVectors(cells, np.array([1.3, 3000.0]))
    assert table.complete.tolist() == [True, False]
    found = candidate_bases(table, np.array([0, 1]), lengths, angles, 0.2, 5.0)
    assert found.searched.tolist() == [True, False]
    assert set(found.pair.tolist()) == {0}


def test_determinants_are_exact() -> None:
    matrices = np.random.default_rng(0).integers(-4, 5, (50, 3, 3))
    assert determinant(matrices).tolist() == pytest.approx(np.linalg.det(matrices).tolist())


def test_spans_number_within_rows() -> None:
    row, place = spans(np.array([2, 0, 3]))
    assert row.tolist() == [0, 0, 2, 2, 2]
    assert place.tolist() == [0, 1, 0, 1, 2]


def test_slices_hold_at_most_the_limit() -> None:
    weights = np.array([3, 0, 4, 9, 1, 1, 5])
    parts = slices(weights, 6)
    assert np.concatenate([weights[part] for part in parts]).tolist() == weights.tolist()
    assert all(weights[part].sum() <= 6 or part.stop - part.start == 1 for part in parts)
    assert slices(np.zeros(0, np.int64), 6) == [slice(0, 0)]
