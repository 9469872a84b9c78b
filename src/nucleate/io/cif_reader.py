"""CIF text to sites: gemmi parses, and a reading counts only where the statements of the file agree with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from nucleate.crystal.parsed_structure import ParsedStructure
from nucleate.io.cif_blocks import DENSITY, FORMULA, HALL, NUMBER, SYMBOL, UNITS, Block, BlockError, read_block
from nucleate.io.cif_checks import Agreement, Statements, check, check_volume, formula_text, parse_formula
from nucleate.io.cif_sites import SiteError, Sites, read_number, read_sites
from nucleate.io.cif_symmetry import (
    Operations,
    Orbits,
    Stated,
    SymmetryError,
    operations_of_texts,
    orbits,
    stated_groups,
)

_MOVED = 5e-3  # Å; a site moved farther onto its special position is noted
_IDENTITY = ("x,y,z",)


@dataclass(frozen=True)
class _Reading:
    """One way to read a block."""

    operations: Operations
    orbits: Orbits
    agreement: Agreement

    @property
    def fits(self) -> bool:
        return not self.agreement.faults


def parse_cifs(texts: Sequence[str]) -> list[ParsedStructure | str]:
    """Sites of each CIF text that holds one structure, or the reason why there are none.

    Symmetry operations are applied. Coordinates within 1e-4 (relative) of 1/3 or 2/3 become exactly that, as
    in pymatgen. What was read otherwise than it stands is in the ``notes`` of a structure.
    """
    found: list[ParsedStructure | str] = []
    blocks: list[Block] = []
    for text in texts:
        block = read_block(text)
        found.append(block if isinstance(block, str) else "")
        if isinstance(block, Block):
            blocks.append(block)
    lattices = lattice_rows(np.array([block.cell for block in blocks]).reshape(-1, 6))
    with np.errstate(over="ignore", invalid="ignore"):
        volumes = np.abs(np.linalg.det(lattices))
    results = iter(map(_read_or_reason, blocks, lattices, volumes.tolist()))
    return [reason or next(results) for reason in found]


def lattice_rows(parameters: np.ndarray) -> np.ndarray:
    """Lattice vectors as rows (B, 3, 3) in Å from a, b, c in Å and α, β, γ in degrees (B, 6).

    c lies along z and a in the xz plane, pymatgen's choice.
    """
    a, b, c = parameters[:, :3].T
    alpha, beta, gamma = np.radians(parameters[:, 3:]).T
    with np.errstate(divide="ignore", invalid="ignore"):  # an impossible cell becomes NaN, refused later
        cosine = (np.cos(alpha) * np.cos(beta) - np.cos(gamma)) / (np.sin(alpha) * np.sin(beta))
    reciprocal = np.arccos(np.clip(cosine, -1.0, 1.0))
    zero = np.zeros_like(a)
    rows = (
        (a * np.sin(beta), zero, a * np.cos(beta)),
        (-b * np.sin(alpha) * np.cos(reciprocal), b * np.sin(alpha) * np.sin(reciprocal), b * np.cos(alpha)),
        (zero, zero, c),
    )
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=1)


def _read_or_reason(block: Block, lattice: np.ndarray, volume: float) -> ParsedStructure | str:
    try:
        return _read(block, lattice, volume)
    except (BlockError, SiteError, SymmetryError) as error:
        return str(error)


def _read(block: Block, lattice: np.ndarray, volume: float) -> ParsedStructure:
    """The crystal of a block, in lattice rows (3, 3) in Å of a volume in Å³.

    Raises:
        BlockError, SiteError, SymmetryError: It is none, or its statements contradict one another.
    """
    if fault := check_volume(volume, block.first(("_cell_volume",))):
        raise BlockError(fault)
    statements = _statements(block, volume)
    sites = read_sites(block.sites, statements.elements)
    best, said = _choose(block, sites, lattice, statements)
    notes = [*block.notes, *sites.notes, *said, *best.agreement.notes]
    if best.orbits.moved > _MOVED:
        notes.append(f"sites were moved by up to {best.orbits.moved:.3f} Å onto special positions")
    if len(best.orbits.sizes) and not best.orbits.sizes.all():
        repeated = [sites.labels[k] for k in np.flatnonzero(best.orbits.sizes == 0).tolist()]
        notes.append(f"{', '.join(repeated[:4])}: images of sites listed before")
    if block.moments:
        notes.append("magnetic moments were not read")
    return ParsedStructure(sites.numbers[best.orbits.site], best.orbits.frac, lattice, tuple(notes))


def _choose(block: Block, sites: Sites, lattice: np.ndarray, statements: Statements) -> tuple[_Reading, list[str]]:
    """The one reading that agrees with all statements, and what is to be said of it.

    Raises:
        BlockError: There is none, or more than one.
        SymmetryError: Operations or symbols cannot be used.
    """
    texts, centring = block.operation_texts()
    names = (block.first(HALL), block.first(SYMBOL), block.first(NUMBER))

    def reading(operations: Operations) -> _Reading:
        found = orbits(sites.frac, sites.numbers, lattice, operations)
        agreement = check(sites, found, statements)
        if len(operations) > 1 and not operations.fit(lattice):
            agreement = replace(agreement, faults=(f"the symmetry {operations.name} does not fit the cell",))
        return _Reading(operations, found, agreement)

    if texts:
        listed = operations_of_texts(texts, centring)
        as_listed = reading(listed)
        try:
            stated = stated_groups(*names)
        except SymmetryError:  # a symbol of a setting that no table has
            stated = Stated((), frozenset(), "")
        if not stated.numbers or not listed.number or listed.number in stated.numbers:
            _demand(as_listed)
            return as_listed, []
        return _resolve(as_listed, [reading(one) for one in _fitting(stated, lattice)], stated, sites.numbers)
    stated = stated_groups(*names)
    if not stated.candidates:
        alone = reading(operations_of_texts(_IDENTITY))
        _demand(alone)
        return alone, ["no symmetry is stated: the sites listed were taken for the whole cell"]
    if len(stated.numbers) > 1:
        raise BlockError(f"the space groups stated are different: {stated.text}")
    readings = [reading(one) for one in _fitting(stated, lattice) or stated.candidates]
    agreeing = [one for one in readings if one.fits]
    if not agreeing:
        _demand(readings[0])
    certain = [one for one in agreeing if one.agreement.certain] or agreeing
    if any(not _same(certain[0], one, sites.numbers) for one in certain[1:]):
        which = " and ".join(f"{one.operations.name} gives {_content(one, sites.numbers)}" for one in certain)
        raise BlockError(f"{stated.text} does not say which origin or axes are meant: {which}")
    return certain[0], []


def _resolve(
    as_listed: _Reading, others: Sequence[_Reading], stated: Stated, numbers: np.ndarray
) -> tuple[_Reading, list[str]]:
    """The right one of the operations listed and of those that the symbol means, where they are different groups.

    Raises:
        BlockError: Nothing tells which.
    """
    listed = as_listed.operations
    differ = f"the operations listed are {listed.name} (No. {listed.number}), but the space group is {stated.text}"
    fitting = [one for one in others if one.fits]
    if as_listed.fits and all(_same(as_listed, one, numbers) for one in fitting):
        if fitting or as_listed.agreement.certain:
            return as_listed, [differ]
    elif as_listed.fits and as_listed.agreement.certain and not any(one.agreement.certain for one in fitting):
        return as_listed, [f"{differ}; the former agree with the formula"]
    elif not as_listed.fits:
        certain = [one for one in fitting if one.agreement.certain]
        if certain and all(_same(certain[0], one, numbers) for one in certain[1:]):
            return certain[0], [f"{differ}; the latter agrees with the formula or the multiplicities and was used"]
        raise BlockError(f"{differ}; {as_listed.agreement.faults[0]}")
    which = ", ".join(f"{one.operations.name} gives {_content(one, numbers)}" for one in (as_listed, *others[:2]))
    raise BlockError(f"{differ}; {which}")


def _fitting(stated: Stated, lattice: np.ndarray) -> list[Operations]:
    """Candidates that fit the cell: all origins and axes of the first symbol that does."""
    fitting = [one for one in stated.candidates if one.fit(lattice)]
    return [one for one in fitting if one.name.split(":")[0] == fitting[0].name.split(":")[0]]


def _demand(reading: _Reading) -> None:
    if reading.agreement.faults:
        raise BlockError("; ".join(reading.agreement.faults[:2]))


def _same(first: _Reading, second: _Reading, numbers: np.ndarray) -> bool:
    """Whether two readings, in one cell, have the same atoms at the same places."""
    if len(first.orbits.frac) != len(second.orbits.frac) or len(first.orbits.frac) > 1000:
        return False
    same_element = numbers[first.orbits.site][:, None] == numbers[second.orbits.site]
    delta = first.orbits.frac[:, None] - second.orbits.frac
    near = (np.abs(delta - np.round(delta)) < 1e-3).all(axis=-1) & same_element
    return bool(near.any(axis=0).all() and near.any(axis=1).all())


def _content(reading: _Reading, numbers: np.ndarray) -> str:
    kinds, counts = np.unique(numbers[reading.orbits.site], return_counts=True)
    return formula_text(dict(zip(kinds.tolist(), counts.tolist(), strict=True)))


def _statements(block: Block, volume: float) -> Statements:
    units = read_number(block.first((UNITS,)) or "?")
    density = read_number(block.first((DENSITY,)) or "?")
    formula = parse_formula(block.first((FORMULA,)))
    # pymatgen writes Z = 0 for one atom of an element that it takes for a molecule.
    return Statements(formula, units if units > 0 or units < 0 else None, density if density > 0 else None, volume)
