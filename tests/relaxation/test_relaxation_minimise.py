"""The minimiser finds minima and never climbs."""

from __future__ import annotations

import numpy as np
import pytest

from nucleate.relaxation.relaxation import TrustRegion


def quadratic(x: np.ndarray) -> tuple[float, np.ndarray]:
    stiffness = np.geomspace(1, 50, len(x))
    return float(0.5 * stiffness @ x**2), stiffness * x


def valley(x: np.ndarray) -> tuple[float, np.ndarray]:
    """Rosenbrock's valley in the first two unknowns, a parabola in the others."""
    a, b = x[0], x[1]
    gradient = x.copy()
    gradient[:2] = -2 * (1 - a) - 40 * a * (b - a * a), 20 * (b - a * a)
    return float((1 - a) ** 2 + 10 * (b - a * a) ** 2 + 0.5 * (x[2:] ** 2).sum()), gradient


@pytest.mark.parametrize(("function", "minimum"), [(quadratic, np.zeros(6)), (valley, np.array([1, 1, 0, 0, 0, 0]))])
def test_minima_are_found_downhill(function, minimum: np.ndarray) -> None:  # type: ignore[no-untyped-def]
    minimiser = TrustRegion(function, np.array([-1.0, 0.8, 0.5, -0.4, 0.3, 0.2]), 5.0 * np.eye(6))
    energies = [minimiser.state.energy]
    while minimiser.state.evaluations < 150:
        energies.append(minimiser.step().energy)
    np.testing.assert_allclose(minimiser.state.x, minimum, atol=2e-2)
    assert max(np.diff(energies)) <= 1e-4


def test_a_wall_of_nothing_is_backed_away_from() -> None:
    def function(x: np.ndarray) -> tuple[float, np.ndarray]:
        energy, gradient = quadratic(x - 0.3)
        return (float("nan"), gradient * np.nan) if x[0] < 0 else (energy, gradient)

    minimiser = TrustRegion(function, np.array([0.6, 0, 0, 0, 0, 0.0]), 0.5 * np.eye(6))
    while minimiser.state.evaluations < 80:
        minimiser.step()
    np.testing.assert_allclose(minimiser.state.x, 0.3, atol=2e-2)
