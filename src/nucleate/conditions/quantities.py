"""The quantities that can be asked for, each once: unit, range, how a request is met, and how a result is judged.

Requests (:class:`nucleate.conditions.request.Conditions`), conditions of models, labels of data sets, the requests of a
comparison, units of columns and ``docs/conditions.md`` come from this table. Any other name is a user's column: a bare
number that a model has to be trained on.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import BeforeValidator
from torch import Tensor

from nucleate.conditions.kinds import Categorical, Condition, MultiHot, Scalar
from nucleate.descriptors.registry import DESCRIPTORS
from nucleate.errors import RequestWarning

MAX_ATOMS = 200
"""Sites of the largest crystal that can be asked for."""
N_ELEMENTS, N_SPACE_GROUPS = 100, 230

Form = Literal["elements", "formula", "count", "group", "number"]
"""How a value is written: Li-Mn-O; SrTiO3; 8 or 4..12; 225 or Fm-3m; 0.7 or 0.5..3."""
Means = Literal["construction", "template", "guidance"]
"""How a request is met: by every sampler, by samplers that keep to a template, by a network trained on labels."""
Measure = Literal["crystal", "descriptor", "energy", "moments"]
"""How a result is measured: by the crystal itself, a descriptor, the potential's energy or moments once relaxed."""


@dataclass(frozen=True)
class Quantity:
    """Something that can be asked for.

    Attributes:
        name: In requests, tables and configurations.
        unit: Of the values, such as eV/atom; empty for a dimensionless number.
        help: What it is, one line.
        form: How a value is written.
        plausible: Smallest and largest value there can be. Whole numbers beyond are refused in a request; labels of
            numbers beyond are likely in other units.
        means: How a request is met.
        measure: How a result is measured; None where nothing here does.
        tolerance: Largest distance of a result that is on target, in the unit.
        below: Results below the target are on target.
        log: Values, which are positive, are compared by their decimal logarithm.
        aliases: Further names of a column with its labels in data sets.
    """

    name: str
    unit: str = ""
    help: str = ""
    form: Form = "number"
    plausible: tuple[float, float] = (-inf, inf)
    means: tuple[Means, ...] = ("guidance",)
    measure: Measure | None = None
    tolerance: float = 0.0
    below: bool = False
    log: bool = False
    aliases: tuple[str, ...] = ()

    @property
    def condition(self) -> Condition:
        """The condition of a model on this quantity, before statistics of labels are known."""
        if self.form == "elements":
            return MultiHot(name=self.name, size=N_ELEMENTS)
        if self.form == "group":
            return Categorical(name=self.name, size=N_SPACE_GROUPS)
        return Scalar(name=self.name, unit=self.unit, log=self.log)

    @property
    def label_columns(self) -> tuple[str, ...]:
        """Names that a data set's column of labels may have, its own first."""
        return (self.name, *self.aliases)

    @property
    def column(self) -> str:
        """Column of a run in which a result is judged."""
        return "meets_request" if self.measure == "crystal" else self.name

    @property
    def relaxed(self) -> bool:
        """Whether a result is that of the relaxed crystal."""
        return self.measure in ("energy", "moments")

    def window(self, target: tuple[float, float]) -> tuple[float, float]:
        """Smallest and largest result that is on target for a target (low, high), all in the unit (eV, GPa, ...)."""
        low, high = target
        # Nine digits: the ends are those of decimal arithmetic.
        return -inf if self.below else round(low - self.tolerance, 9), round(high + self.tolerance, 9)

    def warn_of_units(self, labels: Tensor, source: str) -> None:
        """Warn, with the range seen, of labels (B,) that cannot be in the unit; NaN are left out."""
        known = labels[labels.isfinite()]
        if self.form != "number" or not len(known):
            return
        least, most = float(known.min()), float(known.max())
        low, high = self.plausible
        if low <= least and most <= high:
            return
        expected = f"{low:g}..{high:g}{' ' + self.unit if self.unit else ''}"
        text = (
            f"{source}: {self.name} reaches over {least:g}..{most:g}, but is expected within {expected}; other units?"
        )
        warnings.warn(text, RequestWarning, stacklevel=3)


def _descriptor(name: str, plausible: tuple[float, float], tolerance: float) -> Quantity:
    """A descriptor as a quantity: unit and meaning are the descriptor's."""
    one = DESCRIPTORS[name]
    return Quantity(name, one.unit, one.help, plausible=plausible, measure="descriptor", tolerance=tolerance)


_BUILT: tuple[Means, ...] = ("construction",)
_ALL = (
    Quantity(
        "chemical_system",
        help="its elements, each at least once",
        form="elements",
        means=("construction", "guidance"),
        measure="crystal",
    ),
    Quantity("composition", help="its reduced formula", form="formula", means=_BUILT, measure="crystal"),
    Quantity("n_atoms", "", "atoms in the cell", "count", plausible=(1, MAX_ATOMS), means=_BUILT, measure="crystal"),
    Quantity(
        "space_group",
        help="number or symbol of its space group",
        form="group",
        plausible=(1, N_SPACE_GROUPS),
        means=("template", "guidance"),
        measure="crystal",
    ),
    Quantity(
        "energy_above_hull",
        "eV/atom",
        "distance to the convex hull of the reference's phases",
        plausible=(-0.5, 10.0),
        measure="energy",
        tolerance=0.025,
        below=True,
        aliases=("e_above_hull",),
    ),
    Quantity(
        "formation_energy",
        "eV/atom",
        "energy less that of the elements",
        plausible=(-7.0, 10.0),
        measure="energy",
        tolerance=0.25,
        aliases=("formation_energy_per_atom",),
    ),
    Quantity("band_gap", "eV", "energy between occupied and empty states", plausible=(0.0, 25.0)),
    Quantity(
        "magnetic_density",
        "µB/Å³",
        "moment per volume, all moments in parallel",
        plausible=(-0.5, 0.5),
        measure="moments",
        tolerance=0.02,
        aliases=("magnetization",),
    ),
    Quantity(
        "saturation_magnetization",
        "T",
        "µ₀M of all moments in parallel",
        plausible=(-5.0, 5.0),
        measure="moments",
        tolerance=0.25,
    ),
    Quantity("bulk_modulus", "GPa", "resistance to uniform compression", plausible=(0.1, 800.0), log=True),
    _descriptor("hhi_score", (0.0, 10_000.0), 500.0),
    _descriptor("compactness", (0.05, 2.0), 0.03),
    _descriptor("local_environment_diversity", (0.0, 10.0), 0.25),
    _descriptor("complexity", (0.0, 8.0), 0.1),
)

QUANTITIES: Mapping[str, Quantity] = MappingProxyType({one.name: one for one in _ALL})
"""Every quantity by name."""
ALWAYS_MET = tuple(one.name for one in _ALL if "construction" in one.means)
"""Names of what every sampler meets by construction, whatever the network has learned."""
OF_THE_CRYSTAL = tuple(one.name for one in _ALL if one.measure == "crystal")
"""Names of what the crystal itself shows; fields of a request."""


def quantity(name: str) -> Quantity:
    """The quantity of a name; one that is not in the table is a user's column, a bare number."""
    return QUANTITIES.get(name) or Quantity(name)


def _described(value: object) -> object:
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, list | tuple):
        return value
    return tuple(quantity(item).condition.model_dump() if isinstance(item, str) else item for item in items)


NamedConditions = Annotated[tuple[Condition, ...], BeforeValidator(_described)]
"""Field of a configuration: conditions, each of which may be named alone."""
NamedScalars = Annotated[tuple[Scalar, ...], BeforeValidator(_described)]
"""The same where each must be a number."""

_EXAMPLES: Mapping[Form, str] = MappingProxyType(
    {"elements": "`Li-Mn-O`", "formula": "`SrTiO3`", "count": "`8`, `4..12`", "group": "`225`, `Fm-3m`"}
)
_MET: Mapping[Means, str] = MappingProxyType(
    {"construction": "by construction", "template": "by construction with templates", "guidance": "by guidance"}
)
_MEASURED: Mapping[Measure, str] = MappingProxyType(
    {
        "crystal": "exactly, by the crystal",
        "descriptor": "by the descriptor, as generated",
        "energy": "by the potential, relaxed",
        "moments": "by the potential's moments, relaxed",
    }
)


def page() -> str:
    """The page ``docs/conditions.md``: a row for each quantity."""
    lines = [
        "# What can be asked for",
        "",
        "`--where NAME=VALUE`, once for each condition. What is met by construction is exact as generated: other",
        "elements, counts or groups are never drawn. What is met by guidance needs a model that was trained on labels",
        "of it (`nucleate models NAME` lists them); `--guidance` says how strongly it is followed. A range draws a",
        "value for each crystal. Any other name is a column of your own data",
        "(`nucleate train FAMILY mine.csv --set conditions=NAME`).",
        "",
        "This page is written by `make columns` from `nucleate.conditions.quantities`.",
        "",
        "| condition | unit | what it is | value | how it is met | on target | column of labels |",
        "|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*lines, *(_row(one) for one in _ALL)]) + "\n"


def _row(one: Quantity) -> str:
    low, high = one.plausible
    written = f"{low:g} to {high:g}" if one.form == "number" else _EXAMPLES[one.form]
    judged = "not judged here" if one.measure is None else _MEASURED[one.measure]
    if one.tolerance:
        within = f"{one.tolerance:g}{' ' + one.unit if one.unit else ''}"
        judged += f", at most {within} above" if one.below else f", within {within}"
    columns = ", ".join(f"`{name}`" for name in one.label_columns)
    if one.measure in ("crystal", "descriptor"):
        columns = "from the structure" if one.measure == "crystal" else f"{columns}, else from the structure"
    met = ", ".join(_MET[means] for means in one.means)
    return f"| `{one.name}` | {one.unit} | {one.help} | {written} | {met} | {judged} | {columns} |"
