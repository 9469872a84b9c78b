"""Round trips, what the rows hold, and what is refused."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.lattice import matrix_to_parameters
from nucleate.errors import UserError
from nucleate.representations.ircr import DIFFCRYSGEN_ROWS, IRCR, MAGGEN_ROWS


def same(a, b):
    metrics = [c.lattice @ c.lattice.mT for c in (a, b)]
    return torch.equal(a.numbers, b.numbers) and torch.equal(a.frac, b.frac) and torch.allclose(*metrics, atol=1e-9)


@given(st.integers(0, 2**20), st.sampled_from([(3, 20), (2, 7), (5, 30), (1, 1)]), st.booleans())
def test_round_trip(some_crystals, seed, shape, properties):
    k, n = shape
    ircr = IRCR(k, n, DIFFCRYSGEN_ROWS if properties else ())
    crystals = some_crystals(seed, k=k, n=n)
    matrix = ircr.encode(crystals)
    assert matrix.shape == (5, ircr.length, max(k, 3))
    assert same(ircr.decode(matrix), crystals)


def test_round_trip_of_every_training_structure_that_fits(shared_data):
    from nucleate.data.dataset import load_dataset

    crystals = load_dataset(shared_data / "mp" / "train.csv.gz").crystals
    ircr = IRCR()
    fits = ircr.fits(crystals)
    assert (len(crystals), int(fits.sum())) == (9705, 8302)
    assert same(ircr.decode(ircr.encode(crystals[fits])), crystals[fits])
    assert [not text for text in ircr.refusals(crystals)] == fits.tolist()


def test_batch_equals_single(some_crystals):
    crystals, ircr = some_crystals(1), IRCR()
    assert torch.equal(ircr.encode(crystals), torch.cat([ircr.encode(one) for one in crystals]))


def test_rows_of_rutile():
    """One formula unit of TiO2 with two sites, entries by hand."""
    crystals = Crystals.from_lists(
        [[8, 22, 8]], [[[0.3, 0.3, 0], [-0.25, 0, 1.0], [0.7, 0.7, 0]]], [torch.diag(torch.tensor([4.6, 4.6, 2.96]))]
    )
    for rows, last in ((DIFFCRYSGEN_ROWS, "valence"), (MAGGEN_ROWS, "d_electrons")):
        ircr = IRCR(3, 4, rows)
        matrix, blocks = ircr.encode(crystals)[0], ircr.blocks
        assert ircr.length == 94 + 2 + 8 + 6
        assert matrix[blocks["E"]].nonzero().tolist() == [[7, 0], [21, 1]]
        assert torch.allclose(matrix[blocks["L"]], torch.tensor([[4.6, 4.6, 2.96], [90, 90, 90]]).double())
        assert torch.allclose(matrix[blocks["C"]][1], torch.tensor([0.75, 0, 0]).double())
        assert matrix[blocks["O"]].tolist() == [[1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 0, 0]]
        found = dict(zip(rows, matrix[blocks["P"]].tolist(), strict=True))
        expected = {"number": [8, 22, 0], "electronegativity": [3.44, 1.54, 0], "period": [2, 4, 0],
                    "group": [16, 4, 0], "fraction": [2 / 3, 1 / 3, 0]}  # fmt: skip
        expected[last] = {"valence": [6, 4, 0], "d_electrons": [0, 2, 0]}[last]
        assert {name: pytest.approx(value) for name, value in expected.items()} == found


def noisy(**changes):
    """A matrix of LiF with entries changed."""
    crystals = Crystals.from_lists([[3, 9]], [[[0, 0, 0], [0.5, 0.5, 0.5]]], [4 * torch.eye(3)])
    ircr = IRCR()
    matrix = ircr.encode(crystals)
    for block, (row, column, value) in changes.items():
        matrix[:, ircr.blocks[block]][:, row, column] = value
    return ircr, matrix


def test_columns_of_one_element_merge():
    ircr, matrix = noisy(E=(2, 1, 2.0))
    assert ircr.decode(matrix).numbers.tolist() == [[3, 3]]


def test_empty_columns_and_sites_are_left_out():
    ircr, matrix = noisy(E=(2, 0, 0.4))
    found = ircr.decode(matrix)
    assert (found.numbers.tolist(), found.frac.tolist()) == ([[9]], [[[0.5, 0.5, 0.5]]])
    ircr, matrix = noisy(O=(1, 1, 0.49))
    assert ircr.decode(matrix).numbers.tolist() == [[3]]
    empty = ircr.decode(torch.zeros_like(matrix))
    assert (empty.n_atoms.tolist(), empty.numbers.shape) == ([0], (1, 0))


def test_coordinates_are_wrapped():
    ircr, matrix = noisy(C=(1, 0, -0.25))
    assert ircr.decode(matrix).frac[0, 1].tolist() == [0.75, 0.5, 0.5]


def test_only_allowed_elements():
    ircr, matrix = noisy(E=(16, 1, 0.8))
    allowed = torch.zeros(94, dtype=torch.bool)
    allowed[[2, 16]] = True
    assert ircr.decode(matrix, allowed).numbers.tolist() == [[3, 17]]


def test_cells_that_do_not_close_are_not_finite():
    ircr, matrix = noisy()
    matrix[:, ircr.blocks["L"]][:, 1] = torch.tensor([60.0, 60, 150])
    assert ircr.decode(matrix).lattice.isnan().any()
    assert matrix_to_parameters(ircr.decode(noisy()[1]).lattice)[1].allclose(torch.tensor(90.0).double())


def test_what_does_not_fit_is_refused():
    crystals = Crystals.from_lists(
        [[1, 2, 3, 4], [5] * 21, [95], [6]],
        [[[0.1 * i, 0, 0] for i in range(m)] for m in (4, 21, 1, 1)],
        [torch.eye(3)] * 4,
    )
    ircr = IRCR()
    assert ircr.fits(crystals).tolist() == [False, False, False, True]
    assert ircr.refusals(crystals) == [
        "4 elements, at most 3", "21 sites, at most 20", "atomic number 95, at most 94", ""
    ]  # fmt: skip
    with pytest.raises(UserError, match="crystal 1 of 4: found 4 elements, at most 3"):
        ircr.encode(crystals)
    with pytest.raises(UserError, match="density"):
        IRCR(rows=("density",))
    with pytest.raises(UserError, match="0 elements"):
        IRCR(0)
    assert ircr.encode(crystals[:0]).shape == (0, 136, 3)


def test_training_crystals_that_the_matrix_holds():
    crystals = Crystals.from_lists([[3], [3, 9]], [[[0, 0, 0]], [[0, 0, 0], [0.5, 0.5, 0.5]]], [4 * torch.eye(3)] * 2)
    assert IRCR(3, 1).held(crystals).tolist() == [True, False]
    with pytest.raises(UserError, match="1 crystals, none of which the matrix holds; expected .* 1 elements and 20"):
        IRCR(1, 20).held(crystals[1:])
