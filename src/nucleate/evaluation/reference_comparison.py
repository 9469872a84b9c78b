"""A set of crystals beside a reference: sizes, densities, elements, classes of chemistry, symmetry and coverage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import JsonValue

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.elements import SYMBOLS
from nucleate.crystal.formula import count_table
from nucleate.descriptors.composition import classes_of_counts
from nucleate.descriptors.geometry import density
from nucleate.evaluation.coverage import Coverage, Fingerprints, coverage
from nucleate.evaluation.distributions import Shares, Spread, shares, spread
from nucleate.intervals import NAME_WIDTH, Rate
from nucleate.runs.columns import COLUMNS
from nucleate.symmetry.space_group import space_groups

SYMPRECS = (0.1, 0.01)
"""Å; tolerances at which space groups are compared: loose as databases have it, and tight."""

SAMPLE = 1000
"""Crystals whose symmetry and fingerprints stand for a larger set."""


@dataclass(frozen=True)
class Sample:
    """Costly measures of a set, of at most ``SAMPLE`` of its crystals.

    Attributes:
        groups: Space groups by tolerance in Å, shape (S,); 0 where none was found.
        fingerprints: Of structure and composition.
    """

    groups: Mapping[float, NDArray[np.int64]]
    fingerprints: Fingerprints

    @classmethod
    def of(cls, crystals: Crystals) -> Sample:
        """The sample of B crystals of any quality."""
        chosen = sampled(crystals)
        groups = {symprec: space_groups(chosen, symprec).numpy() for symprec in SYMPRECS}
        return cls(groups, Fingerprints.of(chosen))

    def to_dict(self) -> dict[str, JsonValue]:
        """Lists; NaN stands where a fingerprint is missing."""
        return {
            "groups": {str(symprec): groups.tolist() for symprec, groups in self.groups.items()},
            "structure": self.fingerprints.structure.round(6).tolist(),
            "composition": self.fingerprints.composition.round(6).tolist(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Sample:
        """The sample that :meth:`to_dict` described, to six digits."""
        groups = {float(symprec): np.array(found, dtype=np.int64) for symprec, found in values["groups"].items()}
        tables = (np.array(values[name], dtype=np.float64) for name in ("structure", "composition"))
        return cls(groups, Fingerprints(*tables))


@dataclass(frozen=True)
class Profile:
    """Measures of B crystals that are compared.

    Attributes:
        n_atoms: Shape (B,).
        density: In g/cm³, shape (B,); NaN where undefined.
        counts: Atoms of each element, shape (B, 104).
        sample: Symmetry and fingerprints.
    """

    n_atoms: NDArray[np.int64]
    density: NDArray[np.float64]
    counts: NDArray[np.int64]
    sample: Sample

    @classmethod
    def of(cls, crystals: Crystals, sample: Sample | None = None) -> Profile:
        """The profile of B crystals of any quality.

        Arguments:
            crystals: B crystals.
            sample: Their sample, where it is known already.
        """
        sizes, densities = crystals.n_atoms.numpy(), density(crystals).double().numpy()
        return cls(sizes, densities, count_table(crystals), sample or Sample.of(crystals))


@dataclass(frozen=True)
class Comparison:
    """Outcome of :func:`compare`.

    Attributes:
        reference: Name of what the set is compared with.
        n_reference: Crystals in it.
        spreads: Numbers: atoms in the cell, density, elements in the formula.
        shares: Kinds: elements, classes of chemistry, space groups at each tolerance.
        p1: Share of P1 as generated, relaxed, and in the reference, at each tolerance.
        coverage: How much of the reference the set comes near to, and the reverse.
    """

    reference: str
    n_reference: int
    spreads: tuple[Spread, ...]
    shares: tuple[Shares, ...]
    p1: tuple[Rate, ...]
    coverage: Coverage

    def to_dict(self) -> dict[str, JsonValue]:
        """Plain values for JSON; what is not finite is None."""
        return {
            "reference": self.reference,
            "n_reference": self.n_reference,
            "numbers": [_plain(asdict(one)) for one in self.spreads],
            "kinds": [_plain(asdict(one)) for one in self.shares],
            "p1": [_rate(rate) for rate in self.p1],
            "coverage": {
                "recall": _rate(self.coverage.recall),
                "precision": _rate(self.coverage.precision),
                "reference_by_itself": _rate(self.coverage.own),
                "structure_cutoff": self.coverage.structure_cutoff,
                "composition_cutoff": self.coverage.composition_cutoff,
            },
        }


def compare(generated: Crystals, relaxed: Crystals, reference: Profile, name: str, missing: int = 0) -> Comparison:
    """Set a set of crystals beside a reference.

    Sizes, densities, elements and classes are those of the crystals as generated, as are the fingerprints of the
    coverage; symmetry is given before and after relaxation.

    Arguments:
        generated: B crystals.
        relaxed: Those of them whose relaxation converged.
        reference: Profile of the reference.
        name: What it is called.
        missing: Further structures of the set that hold no crystal; they count as near to nothing.
    """
    found = Profile.of(generated)
    spreads = (
        spread("atoms in the cell", "", np.r_[found.n_atoms, np.full(missing, np.nan)], reference.n_atoms),
        spread("density", COLUMNS["density"].unit, np.r_[found.density, np.full(missing, np.nan)], reference.density),
        spread("elements in the formula", "", _kinds(found, missing), _kinds(reference)),
    )
    after = {symprec: space_groups(sampled(relaxed), symprec).numpy() for symprec in SYMPRECS}
    kinds = [
        shares("elements", _elements(found), _elements(reference), len(generated), missing),
        shares(
            "classes of chemistry",
            Counter(classes_of_counts(found.counts)),
            Counter(classes_of_counts(reference.counts)),
            len(generated),
            missing,
        ),
    ]
    p1 = []
    for symprec in SYMPRECS:
        known = _groups(reference.sample.groups[symprec])
        for state, groups in (("as generated", found.sample.groups[symprec]), ("relaxed", after[symprec])):
            some = _groups(groups)
            label = f"space groups {state}, {symprec:g} Å"
            kinds.append(shares(label, some, known, some.total(), len(groups) - some.total()))
            p1.append(Rate(f"P1 {state}, {symprec:g} Å", "all", some["1"], some.total()))
        p1.append(Rate(f"P1 in the reference, {symprec:g} Å", "all", known["1"], known.total()))
    near = coverage(_padded(found.sample.fingerprints, missing), reference.sample.fingerprints)
    return Comparison(name, len(reference.n_atoms), spreads, tuple(kinds), tuple(p1), near)


def sampled(crystals: Crystals, size: int = SAMPLE) -> Crystals:
    """The crystals, or ``size`` of them drawn with a fixed seed where there are more."""
    if len(crystals) <= size:
        return crystals
    order = torch.randperm(len(crystals), generator=torch.Generator().manual_seed(0))
    return crystals[order[:size].sort().values]


def _kinds(profile: Profile, missing: int = 0) -> NDArray[np.float64]:
    return np.r_[(profile.counts > 0).sum(1).astype(float), np.full(missing, np.nan)]


def _elements(profile: Profile) -> dict[str, float]:
    """Mean atomic fraction of each element, every crystal counting once."""
    weights = (profile.counts / np.maximum(profile.counts.sum(1, keepdims=True), 1)).sum(0)
    return {SYMBOLS[z]: float(weights[z]) for z in np.nonzero(weights)[0]}


def _groups(groups: NDArray[np.int64]) -> Counter[str]:
    return Counter(str(group) for group in groups.tolist() if group > 0)


def _padded(fingerprints: Fingerprints, missing: int) -> Fingerprints:
    def more(table: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.vstack([table, np.full((missing, table.shape[1]), np.nan)])

    return Fingerprints(more(fingerprints.structure), more(fingerprints.composition))


def _rate(rate: Rate) -> dict[str, JsonValue]:
    low, high = rate.interval
    value = rate.value if rate.total else None
    return {"name": rate.name, "value": value, "low": low, "high": high, "count": rate.count, "total": rate.total}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def comparison_lines(content: Mapping[str, Any]) -> list[str]:
    """Lines for a terminal from the content of :meth:`Comparison.to_dict`."""
    lines = [f"beside {content['reference']} ({content['n_reference']:,} structures):"]
    for one in content["numbers"]:
        unit = f" {one['unit']}" if one["unit"] else ""
        medians = f"median {_value(one['found'][2])}, reference {_value(one['expected'][2])}"
        lines.append(f"{one['name']:>{NAME_WIDTH}}  Wasserstein {_value(one['distance'])}{unit} ({medians})")
    for one in content["kinds"]:
        statistic = f", chi-squared {_value(one['chi_squared'])}" if one["name"].startswith("space groups") else ""
        lines.append(f"{one['name']:>{NAME_WIDTH}}  Jensen-Shannon {_value(one['distance'])}{statistic}")
    classes = next(one for one in content["kinds"] if one["name"] == "classes of chemistry")
    some = [
        f"{name} {share:.0%} ({classes['expected'].get(name, 0.0):.0%})" for name, share in classes["found"].items()
    ]
    lines.append(f"{'classes (reference)':>{NAME_WIDTH}}  {', '.join(some) or 'none'}")
    lines += [
        f"{rate['name']:>{NAME_WIDTH}}  {_share(rate['value'], rate['count'], rate['total'])}" for rate in content["p1"]
    ]
    near = content["coverage"]
    for name, key in (("coverage recall", "recall"), ("coverage precision", "precision")):
        itself = f"the reference by itself {near['reference_by_itself']['value']:.0%}"
        rate = near[key]
        shown = _share(rate["value"], rate["count"], rate["total"])
        lines.append(f"{name:>{NAME_WIDTH}}  {shown}; {itself}")
    return lines


def _value(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3g}"


def _share(value: float | None, count: int, total: int) -> str:
    return "unknown" if value is None else f"{value:.1%} ({count} of {total})"
