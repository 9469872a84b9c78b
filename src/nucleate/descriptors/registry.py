"""All descriptors by name: what a column, a condition or a filter may ask for.

A descriptor of ours lies in a module that is imported when its values are asked for, since some need heavy libraries;
a plugin registers its own with :func:`register`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType

from torch import Tensor

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.elements import SYMBOLS
from nucleate.errors import UserError
from nucleate.plugins import Registry


@dataclass(frozen=True)
class Descriptor:
    """One number of a structure.

    Attributes:
        name: Of the column.
        unit: Of the values; empty where they have none.
        help: What the value is, one line.
        values: Function from B crystals to values (B,), float64, NaN where undefined; or where it lies,
            ``module:function`` below ``nucleate.descriptors``.
        source: Key of the work to cite in ``citations.CITATIONS``; empty where it needs none.
        cheap: Takes a few milliseconds a crystal at most, and is computed where nothing else is asked for.
        flags: Likewise a function that marks the sites (B, N) whose elements leave it undefined; empty for none.
    """

    name: str
    unit: str
    help: str
    values: Callable[[Crystals], Tensor] | str
    source: str = ""
    cheap: bool = True
    flags: str = ""

    @property
    def function(self) -> Callable[[Crystals], Tensor]:
        """From B crystals to values (B,), float64; NaN where undefined."""
        return _values_of(_load(self.values)) if isinstance(self.values, str) else self.values

    def undefined_elements(self, crystals: Crystals) -> list[str]:
        """For each crystal the symbols that leave the value undefined, joined by commas; empty where none does."""
        if not self.flags:
            return [""] * len(crystals)
        marked = (crystals.numbers * _load(self.flags)(crystals)).tolist()
        return [", ".join(SYMBOLS[z] for z in sorted(set(row) - {0})) for row in marked]


_LACKS_RADIUS, _LACKS_HHI = "geometry:without_radius", "composition:without_hhi"

_ALL = (
    Descriptor(
        "compactness",
        "",
        "filled fraction of the cell, atoms as spheres of pymatgen's atomic radii, overlaps ignored",
        "geometry:compactness",
        "pigen",
        flags=_LACKS_RADIUS,
    ),
    Descriptor(
        "proxy_potential",
        "kT",
        "how unusual the interatomic distances are for their elements; lower is more usual",
        "spp:proxy_potential",
        "proxy_potentials",
    ),
    Descriptor(
        "local_environment_diversity",
        "bits",
        "variety of local motifs and of the elements in them",
        "local_environments:local_environment_diversity",
        "pigen",
        cheap=False,
    ),
    Descriptor(
        "complexity",
        "bits/atom",
        "information on which atoms symmetry makes equal",
        "complexity:complexity",
        "complexity",
    ),
    Descriptor(
        "charge_balance",
        "",
        "1 if oxidation states balance the formula, or it is an element or an alloy; else 0",
        "composition:charge_balance",
        "smact",
    ),
    Descriptor(
        "hhi_score",
        "",
        "Herfindahl-Hirschman index of the elements' reserves, weighted by mass, 0 to 10,000",
        "composition:hhi_reserve",
        "hhi",
        flags=_LACKS_HHI,
    ),
    Descriptor(
        "hhi_production",
        "",
        "Herfindahl-Hirschman index of the elements' production, weighted by mass, 0 to 10,000",
        "composition:hhi_production",
        "hhi",
        flags=_LACKS_HHI,
    ),
    Descriptor("density", "g/cm³", "mass density", "geometry:density"),
    Descriptor("number_density", "1/Å³", "atoms per volume", "geometry:number_density"),
    Descriptor(
        "min_radii_fraction",
        "",
        "smallest distance over the sum of the covalent radii",
        "bonding:min_radii_fraction",
        "covalent_radii",
    ),
    Descriptor("coordination", "", "mean number of bonds of an atom", "bonding:coordination", "covalent_radii"),
    Descriptor(
        "dimensionality",
        "",
        "bonded network: molecules 0, chains 1, layers 2, bulk 3",
        "bonding:dimensionality",
        "dimensionality",
    ),
)

BUILT_IN: Mapping[str, Descriptor] = MappingProxyType({descriptor.name: descriptor for descriptor in _ALL})
"""Our own descriptors by name, in the order of the columns."""
EXTENSIONS: Registry[Descriptor] = Registry("descriptor", "nucleate.descriptors", {})
"""Descriptors of plugins."""
CHEAP = tuple(name for name, descriptor in BUILT_IN.items() if descriptor.cheap)
"""Our own that take a few milliseconds a crystal at most."""


class _Descriptors(Mapping[str, Descriptor]):
    """Our own, found without importing any plugin, and then those of plugins."""

    def __getitem__(self, name: str) -> Descriptor:
        if name in BUILT_IN:
            return BUILT_IN[name]
        if name in EXTENSIONS:
            return EXTENSIONS.get(name)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter((*BUILT_IN, *EXTENSIONS.names()))

    def __len__(self) -> int:
        return len(BUILT_IN) + len(EXTENSIONS.names())


DESCRIPTORS: Mapping[str, Descriptor] = _Descriptors()
"""Every descriptor by name, in the order of the columns."""


def register(descriptor: Descriptor) -> None:
    """Add a descriptor; a plugin does this when it is imported.

    Raises:
        UserError: Another descriptor has its name.
    """
    if descriptor.name in BUILT_IN:
        raise UserError(f"descriptor {descriptor.name!r}", "a name that is taken", "a name of its own")
    EXTENSIONS.add(descriptor.name, descriptor)


def select(text: str) -> tuple[str, ...]:
    """The descriptors that a user asked for: ``all``, ``none``, ``cheap``, or names joined by commas.

    Raises:
        UserError: A name is not a descriptor's.
    """
    cheap = tuple(name for name, descriptor in DESCRIPTORS.items() if descriptor.cheap)
    groups = {"all": tuple(DESCRIPTORS), "cheap": cheap, "none": ()}
    if text in groups:
        return groups[text]
    asked = [name.strip() for name in text.split(",") if name.strip()]
    for name in asked:
        if name not in DESCRIPTORS:
            raise UserError("descriptors", repr(name), f"all, cheap, none, or some of {', '.join(DESCRIPTORS)}")
    return tuple(name for name in DESCRIPTORS if name in asked)


def descriptor_table(crystals: Crystals, names: Sequence[str] | None = None) -> dict[str, Tensor]:
    """Values of descriptors, each of shape (B,), float64, NaN where undefined.

    Arguments:
        crystals: B crystals, of any quality: one that is broken gets NaN and leaves the others alone.
        names: Which; the cheap ones by default.

    Raises:
        UserError: A name is not a descriptor's.
    """
    chosen = select("cheap" if names is None else ",".join(names) or "none")
    return {name: DESCRIPTORS[name].function(crystals) for name in chosen}


def _load(path: str) -> Callable[..., Tensor]:
    module, function = path.split(":")
    return getattr(import_module(f"nucleate.descriptors.{module}"), function)


def _values_of(function: Callable[..., object]) -> Callable[[Crystals], Tensor]:
    """Functions that answer with flags beside the values have the values in front."""

    def values(crystals: Crystals) -> Tensor:
        found = function(crystals)
        return found if isinstance(found, Tensor) else found[0]  # type: ignore[index]

    return values
