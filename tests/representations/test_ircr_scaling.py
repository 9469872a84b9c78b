"""Ranges and round trips."""

import pytest
import torch

from nucleate.representations.ircr import MatrixScaling


@pytest.mark.parametrize("over", ["row", "entry"])
@pytest.mark.parametrize("span", [(-1.0, 1.0), (0.0, 1.0)])
def test_fits_the_span_and_comes_back(over, span):
    matrix = torch.randn(50, 6, 3, dtype=torch.float64) * torch.arange(1, 7)[:, None]
    scaling = MatrixScaling((6, 3), span, over)
    scaling.fit(matrix)
    scaled = scaling(matrix)
    axes = (0, 2) if over == "row" else 0
    assert torch.allclose(scaled.amin(axes), torch.tensor(span[0], dtype=torch.float64))
    assert torch.allclose(scaled.amax(axes), torch.tensor(span[1], dtype=torch.float64))
    assert torch.allclose(scaling.inverse(scaled), matrix, atol=1e-12)


def test_row_without_variation_goes_to_the_lower_end_and_keeps_its_value():
    scaling = MatrixScaling((2, 3))
    matrix = torch.stack([torch.full((5, 3), 7.0), torch.rand(5, 3)], 1)
    scaling.fit(matrix)
    assert (scaling(matrix)[:, 0] == -1).all()
    assert (scaling.inverse(torch.randn(4, 2, 3))[:, 0] == 7).all()


def test_the_scale_is_stored_with_the_weights():
    scaling, other = MatrixScaling((4, 3), over="entry"), MatrixScaling((4, 3), over="entry")
    scaling.fit(torch.rand(9, 4, 3))
    other.load_state_dict(scaling.state_dict())
    x = torch.rand(2, 4, 3)
    assert torch.equal(scaling(x), other(x))


def test_a_known_range_replaces_what_the_data_span():
    scaling = MatrixScaling((3, 2), over="entry")
    scaling.fit(torch.rand(9, 3, 2))
    before = scaling.low.clone()
    scaling.fix(slice(1, 3), 0.0, 2.0)
    assert torch.equal(scaling(torch.tensor([[[0.0, 0], [0, 1], [2, 1]]]))[0, 1:], torch.tensor([[-1.0, 0], [1, 0]]))
    assert torch.equal(scaling.low[:2], before[:2])
