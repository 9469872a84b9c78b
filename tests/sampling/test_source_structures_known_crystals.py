"""Templates that go with labels, against the kernel's own weights."""

import torch

from nucleate.sampling.source_structures import KnownCrystals


def known(size=2000, seed=0):
    generator = torch.Generator().manual_seed(seed)
    template = torch.randint(0, 10, (size,), generator=generator)
    # The first label is nearly the template's, the second is anything.
    labels = torch.stack([(template - 4.5) / 3 + 0.05 * torch.randn(size, generator=generator),
                          torch.randn(size, generator=generator)], 1)  # fmt: skip
    crystals = KnownCrystals()
    crystals.fit(template, torch.zeros(size, 2), labels)
    return crystals


def draw(crystals, asked, weights=None, n=4000):
    u = (torch.arange(n) + 0.5) / n
    every = torch.ones(10) if weights is None else weights
    return crystals.draw(torch.tensor([asked]).expand(n, -1), every, u)


def test_a_label_that_goes_with_templates_chooses_them():
    which = draw(known(), [(7 - 4.5) / 3, torch.nan])
    assert float((which == 7).float().mean()) > 0.95


def test_a_label_that_does_not_leaves_them_as_they_are():
    crystals = known()
    share = torch.bincount(draw(crystals, [torch.nan, 0.3], n=20_000), minlength=10) / 20_000
    assert float(share.max()) < 0.25
    nothing = torch.bincount(draw(crystals, [torch.nan, torch.nan], n=20_000), minlength=10) / 20_000
    expected = torch.bincount(crystals.template.long(), minlength=10) / len(crystals.template)
    torch.testing.assert_close(nothing, expected, atol=1e-3, rtol=0)


def test_templates_that_are_ruled_out_are_never_drawn():
    weights = torch.zeros(10)
    weights[2] = 1
    assert set(draw(known(), [(7 - 4.5) / 3, torch.nan], weights).tolist()) == {2}


def test_a_target_far_from_every_label_takes_the_nearest():
    assert float((draw(known(), [50.0, torch.nan]) == 9).float().mean()) > 0.9


def test_missing_labels_do_not_answer_and_do_not_stop():
    crystals = KnownCrystals()
    crystals.fit(torch.tensor([0, 1, -1, 2]), torch.zeros(4, 2), torch.tensor([[0.0], [torch.nan], [0.0], [torch.nan]]))
    assert crystals.template.tolist() == [0, 1, 2]
    assert set(draw(crystals, [1.0]).tolist()) == {0}
    only = torch.zeros(10)
    only[2] = 1
    assert set(draw(crystals, [1.0], only).tolist()) == {2}


def test_a_crystal_is_drawn_the_same_alone():
    crystals = known()
    asked = torch.randn(600, 2, generator=torch.Generator().manual_seed(3))
    u = torch.rand(600, generator=torch.Generator().manual_seed(4))
    whole = crystals.draw(asked, torch.ones(10), u)
    assert torch.equal(crystals.draw(asked[300:310], torch.ones(10), u[300:310]), whole[300:310])


def test_parents_share_the_draw_with_labels():
    crystals = known()
    parents = torch.where(crystals.template >= 7, 1.0, 0.0).double()
    parents[crystals.template == 8] = 0.25
    u = (torch.arange(20_000) + 0.5) / 20_000
    which = crystals.draw(torch.full((20_000, 2), torch.nan), torch.ones(10), u, parents)
    share = torch.bincount(which, minlength=10) / 20_000
    expected = torch.zeros(10, dtype=torch.float64).index_add(0, crystals.template.long(), parents)
    torch.testing.assert_close(share.double(), expected / expected.sum(), atol=1e-3, rtol=0)
    labelled = crystals.draw(
        torch.tensor([[(9 - 4.5) / 3, torch.nan]]).expand(500, -1), torch.ones(10), u[:500], parents
    )
    assert set(labelled.tolist()) == {9}


def test_elements_of_further_crystals_come_behind():
    crystals = known()
    crystals.extend(torch.tensor([3, -1]), torch.tensor([[8, 9, 11], [1, 1, 1]]), torch.zeros(2, 3))
    assert crystals.elements[-1].tolist() == [8, 9, 11]
    assert crystals.elements.shape == (2001, 3)
    assert crystals.labels.shape == (2001, 3)
