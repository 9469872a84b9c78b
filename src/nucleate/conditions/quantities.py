"""Conditions that go by a name, with their units."""

from __future__ import annotations

import warnings
from typing import Annotated

from pydantic import BeforeValidator
from torch import Tensor

from nucleate.conditions.kinds import Categorical, Condition, MultiHot, Scalar
from nucleate.errors import RequestWarning

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


def _described(value: object) -> object:
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list | tuple):
        return value
    return tuple(by_name(item).model_dump() if isinstance(item, str) else item for item in items)


NamedConditions = Annotated[tuple[Condition, ...], BeforeValidator(_described)]
"""Field of a configuration: conditions, each of which may be named alone."""
NamedScalars = Annotated[tuple[Scalar, ...], BeforeValidator(_described)]
"""The same where each must be a number."""


PLAUSIBLE = {
    "compactness": (0.05, 2.0),
    "local_environment_diversity": (0.0, 10.0),
    "complexity": (0.0, 8.0),
    "energy_above_hull": (-0.5, 10.0),
    "formation_energy": (-7.0, 10.0),
    "band_gap": (0.0, 25.0),
    "magnetic_density": (-0.5, 0.5),
    "saturation_magnetization": (-5.0, 5.0),
    "bulk_modulus": (0.1, 800.0),
    "hhi_score": (0.0, 10_000.0),
}
"""Labels beyond these are likely in other units."""


def warn_of_units(name: str, labels: Tensor, source: str) -> None:
    """Warn, with the range seen, of labels (B,) that cannot be in the condition's unit; NaN are left out."""
    known = labels[labels.isfinite()]
    if name not in PLAUSIBLE or not len(known):
        return
    low, high = PLAUSIBLE[name]
    if float(known.min()) < low or float(known.max()) > high:
        condition = NAMED[name]
        unit = f" {condition.unit}" if isinstance(condition, Scalar) and condition.unit else ""
        seen = f"{float(known.min()):g}..{float(known.max()):g}"
        text = f"{source}: {name} reaches over {seen}, but is expected within {low:g}..{high:g}{unit}; other units?"
        warnings.warn(text, RequestWarning, stacklevel=3)
