"""The request of a user: conditions as ``name=value``, checked once and then trusted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from nucleate.conditions.quantities import MAX_ATOMS, OF_THE_CRYSTAL, Quantity, quantity
from nucleate.crystal.elements import SYMBOLS, atomic_number, parse_formula
from nucleate.crystal.formula import reduced
from nucleate.errors import UserError
from nucleate.symmetry.space_group import space_group_number


@dataclass(frozen=True)
class Conditions:
    """A request for crystals; a missing entry leaves that choice to the generator.

    Attributes:
        chemical_system: Sorted atomic numbers: only these elements, each at least once.
        allow_subsystems: Some elements of the system may be missing.
        composition: Reduced counts {Z: count}; a crystal holds a whole multiple of them.
        n_atoms: Smallest and largest number of sites, inclusive.
        space_group: International number, 1 to 230.
        targets: Numbers by name, each a range (low, high) in the unit of its quantity, such as eV; equal ends are one
            value.
    """

    chemical_system: tuple[int, ...] | None = None
    allow_subsystems: bool = False
    composition: Mapping[int, int] | None = None
    n_atoms: tuple[int, int] | None = None
    space_group: int | None = None
    targets: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @classmethod
    def parse(cls, items: Iterable[str] | Mapping[str, object] = (), allow_subsystems: bool = False) -> Conditions:
        """Read ``name=value`` texts (or a mapping of the same), such as ``chemical_system=Li-O``.

        Raises:
            UserError: A text has no ``=``, a name comes twice, or a value does not fit its name.
        """
        pairs = list(items.items()) if isinstance(items, Mapping) else [_split(item) for item in items]
        known: dict[str, object] = {"allow_subsystems": allow_subsystems}
        targets: dict[str, tuple[float, float]] = {}
        for name, raw in pairs:
            value = str(raw).strip()
            if name in known or name in targets:
                raise UserError(f"condition {name}", "it twice", "each condition once")
            match quantity(name).form:
                case "elements":
                    known[name] = tuple(sorted({atomic_number(s, name) for s in value.split("-")}))
                case "formula":
                    known[name] = reduced(parse_formula(value, name))
                case "count":
                    known[name] = _count_range(quantity(name), value)
                case "group":
                    known[name] = space_group_number(value, f"condition {name}")
                case "number":
                    targets[name] = _range(name, value)
        return cls(**known, targets=targets)  # type: ignore[arg-type]

    def __post_init__(self) -> None:
        """Refuse what no crystal can meet."""
        if self.composition is None:
            if self.chemical_system and self.n_atoms and not self.allow_subsystems:
                needed = len(self.chemical_system)
                if self.n_atoms[1] < needed:
                    raise UserError(
                        "conditions n_atoms and chemical_system",
                        f"at most {self.n_atoms[1]} atoms for {needed} elements",
                        "an atom for each element",
                    )
            return
        if self.chemical_system and set(self.composition) != set(self.chemical_system):
            raise UserError(
                "conditions composition and chemical_system",
                f"{self.formula} outside the system",
                "the same elements in both, or one of the two",
            )
        low, high = self.n_atoms or (1, MAX_ATOMS)
        unit = sum(self.composition.values())
        if high // unit < -(-low // unit):
            raise UserError(
                "conditions composition and n_atoms", f"{unit} atoms in {self.formula}", f"a multiple in {low}..{high}"
            )

    @property
    def formula(self) -> str:
        """The composition as text, elements in the order given; empty without one."""
        counts = self.composition or {}
        return "".join(SYMBOLS[z] + (str(n) if n > 1 else "") for z, n in counts.items())

    @property
    def texts(self) -> tuple[str, ...]:
        """The conditions as ``name=value``, as :meth:`parse` reads them; elements by the alphabet."""
        fixed = {
            "chemical_system": "-".join(sorted(SYMBOLS[z] for z in self.chemical_system or ())),
            "composition": self.formula,
            "n_atoms": "" if self.n_atoms is None else _ends(*self.n_atoms),
            "space_group": "" if self.space_group is None else str(self.space_group),
        }
        asked = {name: text for name, text in fixed.items() if text}
        asked |= {name: _ends(low, high) for name, (low, high) in self.targets.items()}
        return tuple(f"{name}={text}" for name, text in asked.items())

    @property
    def of_the_crystal(self) -> bool:
        """Whether anything is asked that a crystal itself shows: elements, composition, size or space group."""
        return any(getattr(self, name) is not None for name in OF_THE_CRYSTAL)

    def allows_size(self, n: int) -> bool:
        """Whether a crystal of n sites can meet the size, composition and system asked for."""
        low, high = self.n_atoms or (1, MAX_ATOMS)
        if self.composition is not None and n % sum(self.composition.values()):
            return False
        needed = len(self.chemical_system or ()) if not self.allow_subsystems else 1
        return max(low, needed) <= n <= high


def _split(item: str) -> tuple[str, str]:
    name, separator, value = item.partition("=")
    if not separator or not name.strip() or not value.strip():
        raise UserError("--where", repr(item), "name=value, such as chemical_system=Li-O")
    return name.strip(), value


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise UserError(f"condition {name}", repr(text), "a number, or a range such as 0.5..3") from None
    if value != value or abs(value) == float("inf"):
        raise UserError(f"condition {name}", repr(text), "a finite number")
    return value


def _range(name: str, text: str) -> tuple[float, float]:
    low, separator, high = text.partition("..")
    first = _number(name, low)
    last = _number(name, high) if separator else first
    if last < first:
        raise UserError(f"condition {name}", repr(text), "a range from low to high")
    return first, last


def _ends(low: float, high: float) -> str:
    ends = [repr(end).removesuffix(".0") for end in (low, high)]
    return ends[0] if low == high else "..".join(ends)


def _count_range(one: Quantity, text: str) -> tuple[int, int]:
    low, high = _range(one.name, text)
    least, most = one.plausible
    if low != int(low) or high != int(high) or not least <= low <= high <= most:
        expected = f"whole numbers from {least:g} to {most:g}, such as 8 or 4..12"
        raise UserError(f"condition {one.name}", repr(text), expected)
    return int(low), int(high)
