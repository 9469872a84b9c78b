"""Random numbers of one crystal: a stream of its own, whatever else is drawn in the same call."""

from __future__ import annotations

import numpy as np


def crystal_stream(seed: int, index: int) -> np.random.Generator:
    """Generator keyed (seed, index) for crystal number ``index`` of a request."""
    return np.random.default_rng(np.random.SeedSequence([seed % 2**64, index]))
