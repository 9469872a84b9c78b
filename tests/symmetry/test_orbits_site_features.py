"""What the network is told of sites, on a template written by hand."""

import torch

from nucleate.symmetry.orbits import CLASSES, WIDTH, SiteOrbits, site_features


def perovskite():
    """Five sites: one orbit of three and two of one each; the last has one free coordinate; one place of padding."""
    orbits = SiteOrbits.none(1, 6, torch.float32, torch.device("cpu"))
    first = torch.tensor([[0, 0, 0, 3, 4, 5]])
    basis = torch.zeros(1, 6, 3, 3)
    basis[0, 4, 2, 0] = 1
    rest = (
        orbits.rotation,
        orbits.inverse,
        orbits.shift,
        basis,
        basis.mT,
        orbits.projector,
        orbits.offset,
        orbits.metric,
    )
    return SiteOrbits(first, *rest), torch.tensor([[0, 0, 0, 1, 2, -1]])


def test_classes_shares_and_free_coordinates():
    orbits, classes = perovskite()
    features = site_features(orbits, classes, torch.tensor([True]))[0]
    assert features.shape == (6, WIDTH)
    assert features[:5, 0].tolist() == [1] * 5
    assert features[:5, 1 : 1 + CLASSES].argmax(1).tolist() == [0, 0, 0, 1, 2]
    torch.testing.assert_close(features[:5, 1 + CLASSES], torch.tensor([0.6, 0.6, 0.6, 0.2, 0.2]))
    torch.testing.assert_close(features[:5, 2 + CLASSES], torch.tensor([0.6, 0.6, 0.6, 0.2, 0.2]))
    assert features[:5, 3 + CLASSES :].argmax(1).tolist() == [0, 0, 0, 0, 1]
    assert not features[5].any()


def test_a_free_walk_is_told_nothing():
    orbits, classes = perovskite()
    assert not site_features(orbits, classes, torch.tensor([False])).any()


def test_padding_does_not_count():
    orbits, classes = perovskite()
    wider = torch.nn.functional.pad(classes, (0, 3), value=-1)
    features = site_features(orbits.padded(9), wider, torch.tensor([True]))
    torch.testing.assert_close(features[:, :6], site_features(orbits, classes, torch.tensor([True])))
    assert not features[:, 6:].any()
