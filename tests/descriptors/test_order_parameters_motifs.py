import numpy as np
import pytest
import torch

from nucleate.descriptors.order_parameters import _peaks, motif_fingerprints, motifs


def library_peak(values):
    """The published procedure on one parameter: histogram, highest bins, neighbours merged, first of the highest."""
    low = min(max(float(int(min(values) * 1000 - 1.5)) * 0.001, 0.0), 1.0)
    high = min(max(float(int(max(values) * 1000 + 1.5)) * 0.001, 0.0), 1.0)
    if low == high:
        low, high = low - 0.001, high + 0.001
    counts, edges = np.histogram(values, bins=int((high - low) * 1000), range=(low, high))
    peaks = [i for i, count in enumerate(counts) if count == counts.max()]
    merged, i = [], 0
    while i < len(peaks):
        centre = 0.5 * (edges[peaks[i]] + edges[peaks[i] + 1])
        if i + 1 < len(peaks) and peaks[i + 1] == peaks[i] + 1:
            following = 0.5 * (edges[peaks[i + 1]] + edges[peaks[i + 1] + 1])
            merged.append((counts[peaks[i]] + counts[peaks[i + 1]], 0.5 * (centre + following)))
            i += 1
        else:
            merged.append((counts[peaks[i]], centre))
        i += 1
    return max(merged, key=lambda peak: peak[0])[1]


def test_peaks_are_those_of_the_histogram():
    rng = np.random.default_rng(0)
    values = rng.uniform(-0.01, 1.01, (900, 3))
    values[:200, 1] = values[:200, 0]
    values[100:300, 2] = values[100:300, 0] + rng.uniform(-0.003, 0.003, 200)
    values[300:400, 1:] = 0.0
    values[400:600] = values[400:600].mean(1, keepdims=True) + rng.uniform(-0.002, 0.002, (200, 3))
    values[600:700] = np.round(values[600:700], 3)
    values[700] = [0.0, 0.0, 0.0]
    values[701] = [-0.4, -0.2, -0.3]
    values[702] = [1.2, 1.3, 1.4]
    found = _peaks(torch.from_numpy(values)[None])[0].numpy()
    expected = np.array([library_peak(row) for row in values])
    np.testing.assert_array_equal(found[expected == 0], 0)
    np.testing.assert_allclose(found, expected, atol=1e-15)


def padded(points, width=20):
    distances = np.linalg.norm(points, axis=1)
    order = distances.argsort(kind="stable")
    d, u = np.full(width, np.inf), np.zeros((width, 3))
    d[: len(points)], u[: len(points)] = distances[order], (points / distances[:, None])[order]
    return torch.from_numpy(d)[None], torch.from_numpy(u)[None]


def test_a_short_bond_beats_the_shells():
    far = np.array([[x, y, z] for x in (2, -2) for y in (2, -2) for z in (2.1, -2.3)] + [[4.0, 0, i] for i in range(4)])
    distances, directions = padded(np.concatenate([[[0.9, 0, 0]], far]))
    assert motifs(distances, directions).tolist() == [0]
    assert motif_fingerprints(distances, directions)[0, 0] == pytest.approx(1 - 0.9 / distances[0, 1].item(), abs=6e-4)


def test_no_sites():
    assert motifs(torch.zeros(0, 20), torch.zeros(0, 20, 3)).shape == (0,)
