"""Conditions that go by a name, with their units."""

from __future__ import annotations

from nucleate.guidance.conditions import Categorical, Condition, MultiHot, Scalar

NAMED: dict[str, Condition] = {
    condition.name: condition
    for condition in (
        Scalar(name="compactness"),
        Scalar(name="local_environment_diversity", unit="bits"),
        Scalar(name="complexity", unit="bits/atom"),
        Scalar(name="energy_above_hull", unit="eV/atom"),
        Scalar(name="formation_energy", unit="eV/atom"),
        Scalar(name="band_gap", unit="eV"),
        Scalar(name="magnetic_density", unit="µB/Å³"),
        Scalar(name="saturation_magnetization", unit="T"),
        Scalar(name="bulk_modulus", unit="GPa", log=True),
        Scalar(name="hhi_score"),
        MultiHot(name="chemical_system", size=100),
        Categorical(name="space_group", size=230),
    )
}
"""Statistics of the numbers come from the training data."""


def by_name(name: str) -> Condition:
    """The condition of a name; one that is not known is a bare number."""
    return NAMED.get(name) or Scalar(name=name)
