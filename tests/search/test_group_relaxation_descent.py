"""The batched minimiser on functions whose minimum is known."""

import torch

from nucleate.search.group_relaxation import Descent


def _quadratic(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    curvature = torch.tensor([1.0, 10.0, 100.0], dtype=x.dtype)
    centre = torch.tensor([1.0, -2.0, 0.5], dtype=x.dtype)
    return (0.5 * curvature * (x - centre) ** 2).sum(1), curvature * (x - centre)


def _minimised(x: torch.Tensor, steps: int) -> Descent:
    eye = torch.eye(3, dtype=x.dtype).expand(len(x), 3, 3)
    state = Descent.start(x, *_quadratic(x), 5 * eye, eye, 0.5)
    for _ in range(steps):
        tried = state.proposal()
        state.learn(tried, *_quadratic(tried))
    return state


def test_it_reaches_the_minimum_and_never_climbs() -> None:
    x = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    last = _quadratic(x)[0]
    for steps in (1, 3, 10, 40):
        state = _minimised(x, steps)
        assert (state.energy <= last).all()
        last = state.energy
    assert float(last.max()) < 1e-8


def test_no_problem_knows_of_the_others() -> None:
    x = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    whole = _minimised(x, 12).x
    assert torch.equal(whole[2:3], _minimised(x[2:3], 12).x)


def test_what_is_not_finite_is_taken_back() -> None:
    x = torch.zeros(1, 3, dtype=torch.float64)
    eye = torch.eye(3, dtype=torch.float64)[None]
    state = Descent.start(x, *_quadratic(x), eye, eye, 0.5)
    moved = state.learn(state.proposal(), torch.tensor([torch.nan]), torch.zeros(1, 3, dtype=torch.float64))
    assert not moved.any()
    assert torch.equal(state.x, x)
    assert float(state.radius[0]) < 0.5
