"""The graph in blocks is the graph by loops."""

from __future__ import annotations

import pytest
import torch

from nucleate.families.maggen import latent_space
from nucleate.families.maggen.latent_space import connections, summary, tanimoto


def points(count: int = 30) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    centres = torch.randn(3, 5, generator=generator, dtype=torch.float64)
    classes = torch.arange(count) % 3
    return centres[classes] + 0.6 * torch.randn(count, 5, generator=generator, dtype=torch.float64), classes


def test_similarity_is_the_paper_s_equation() -> None:
    u, v = points(4)[0], points(7)[0]
    by_hand = [[float(a @ b / (a @ a + b @ b - a @ b)) for b in v] for a in u]
    assert torch.allclose(tanimoto(u, v), torch.tensor(by_hand, dtype=torch.float64))
    assert torch.allclose(tanimoto(u, u).diagonal(), torch.ones(4, dtype=torch.float64))
    assert float(tanimoto(torch.zeros(1, 5), torch.zeros(1, 5))) == 0


def test_bits_give_the_ratio_of_sets() -> None:
    # On zeros and ones it is the size of the intersection over that of the union.
    first, second = torch.tensor([[1.0, 1, 0, 1, 0]]), torch.tensor([[0.0, 1, 1, 1, 1]])
    assert float(tanimoto(first, second)) == pytest.approx(2 / 5)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes, classes = points()
    whole = connections(nodes, classes)
    monkeypatch.setattr(latent_space, "BLOCK", 7)
    blocked = connections(nodes, classes)
    assert torch.equal(whole.edges, blocked.edges)
    assert torch.equal(whole.correct, blocked.correct)


def test_summary_equals_counting_pairs() -> None:
    nodes, classes = points()
    found = summary(nodes, classes, (0.3, 0.6))
    similarity = tanimoto(nodes, nodes)
    for t, threshold in enumerate((0.3, 0.6)):
        pairs = [(i, j) for i in range(30) for j in range(i) if similarity[i, j] >= threshold]
        right = [(i, j) for i, j in pairs if classes[i] == classes[j]]
        assert found.density[t] == pytest.approx(len(pairs) / 30)
        assert found.correct[t] == pytest.approx(len(right) / len(pairs))
        touching = [(i, j) for i, j in pairs if 1 in (int(classes[i]), int(classes[j]))]
        inside = [(i, j) for i, j in touching if classes[i] == classes[j]]
        assert found.own[1][t] == pytest.approx(len(inside) / len(touching))


def test_no_node_is_its_own_neighbour_but_others_may_be_equal() -> None:
    nodes, classes = points()
    assert (connections(nodes, classes, (0.999,)).edges == 0).all()
    assert (connections(nodes, classes, (0.999,), (nodes, classes)).correct == 1).all()
    assert connections(nodes, classes, (0.999,)).share.isnan().all()
