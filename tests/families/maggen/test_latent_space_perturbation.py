"""Arcs begin and end where they should, and keep their plane."""

from __future__ import annotations

import torch

from nucleate.families.maggen.latent_space import everywhere, local, slerp


def pair() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(6, 8, generator=generator, dtype=torch.float64) for _ in range(2))  # type: ignore[return-value]


def test_an_arc_joins_its_ends() -> None:
    first, second = pair()
    assert torch.allclose(slerp(first, second, torch.zeros(6)), first)
    assert torch.allclose(slerp(first, second, torch.ones(6)), second)


def test_halves_of_an_arc_are_equal_angles_at_mean_length() -> None:
    first, second = pair()
    middle = slerp(first, second, torch.full((6,), 0.5))
    angles = [torch.cosine_similarity(middle, end) for end in (first, second)]
    assert torch.allclose(*angles)
    assert torch.allclose(middle.norm(dim=1), (first.norm(dim=1) + second.norm(dim=1)) / 2)


def test_points_on_one_line_have_no_arc() -> None:
    first = pair()[0]
    assert torch.allclose(slerp(first, 3 * first, torch.full((6,), 0.5)), 2 * first)
    assert torch.allclose(slerp(first, -first, torch.full((6,), 0.25)), 0.5 * first)


def test_noise_has_the_scale_asked_for() -> None:
    known = 3 + torch.randn(400, 8, dtype=torch.float64) * torch.arange(1.0, 9)
    noise = torch.randn(20_000, 8, dtype=torch.float64)
    far = everywhere(known, noise, 0.5)
    assert torch.allclose(far.mean(0), known.mean(0), atol=0.1)
    assert torch.allclose(
        far.std(0) / known.std(0, correction=0), torch.full((8,), 0.5, dtype=torch.float64), rtol=0.03
    )
    assert torch.allclose(local(known, noise[:400], 0.0), known)
