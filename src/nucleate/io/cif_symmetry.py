"""Symmetry operations of a CIF, from its loop or its symbols by gemmi's tables, and the orbits of sites under them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import gemmi
import moyopy
import numpy as np

from nucleate.crystal.parsed_structure import MAX_SITES

MAX_OPERATIONS = 576
"""Symmetry operations of one cell: three times those of the largest space group, for cells with more centring."""

MERGE_DISTANCE = 0.1
"""Å within which two images of a site are one atom."""

MERGE_FRACTION = 0.0101
"""Fractional distance within which they are, too: coordinates of two digits, such as 0.33 and 0.67."""

METRIC_TOLERANCE = 0.02
"""Relative change of the metric tensor that operations may cause: 1 % of a length, about 1° of an angle."""

_EXACT = 1e-3  # Å
_LARGEST_SITE_SYMMETRY = 48
_SITES_AT_ONCE = 256
_MOST_COMPARED = 4_000_000  # pairs of sites and atoms; beyond, a site listed twice is refused as an overlap
_FARTHEST_MERGE = 0.35  # Å; no two whole atoms are as close, whatever the digits of their coordinates
_DENOMINATOR = 24  # of gemmi's translations
_MAX_TEXT = 80  # characters of an operation or a symbol; what is longer is none


class SymmetryError(ValueError):
    """Operations or symbols that cannot be used; the message is the reason."""


@dataclass(frozen=True, eq=False)
class Operations:
    """A group of G operations modulo lattice translations.

    Attributes:
        rotations: (G, 3, 3); a column of fractional coordinates x goes to W x + t.
        translations: (G, 3), in [0, 1).
        products: (G, G); index of the operation that is g after h.
        identity: Index of the identity.
        number: Space-group number; 0 where gemmi's tables do not have the setting.
        name: Hermann-Mauguin symbol with its setting, or the number of operations.
    """

    rotations: np.ndarray
    translations: np.ndarray
    products: np.ndarray
    identity: int
    number: int
    name: str

    def __len__(self) -> int:
        return len(self.rotations)

    def fit(self, lattice: np.ndarray) -> bool:
        """Whether they leave the metric of lattice rows (3, 3) as it is."""
        metric = lattice @ lattice.T
        lengths = np.sqrt(np.diag(metric))
        changed = np.einsum("gji,jk,gkl->gil", self.rotations, metric, self.rotations) - metric
        return bool((np.abs(changed) <= METRIC_TOLERANCE * np.outer(lengths, lengths)).all())


@dataclass(frozen=True)
class Stated:
    """Space groups that symbols and number of a CIF mean.

    Attributes:
        candidates: Operations that they may mean, the likeliest first; several where the origin or the axes are open.
        numbers: Space-group numbers that they name.
        text: The symbols as they stand in the file.
    """

    candidates: tuple[Operations, ...]
    numbers: frozenset[int]
    text: str


@dataclass(frozen=True)
class Orbits:
    """All atoms of a cell.

    Attributes:
        frac: (N, 3).
        site: (N,); the listed site of each atom.
        sizes: (n,); atoms of each listed site, 0 for one that is an image of an earlier site.
        moved: Å by which the farthest site was moved onto its special position.
    """

    frac: np.ndarray
    site: np.ndarray
    sizes: np.ndarray
    moved: float


@lru_cache(maxsize=128)
def operations_of_texts(texts: tuple[str, ...], centring: tuple[str, ...] = ()) -> Operations:
    """Operations of a loop such as ``('x,y,z', '-x,-y,-z')``, combined with those of a second loop if there is one.

    Raises:
        SymmetryError: One is not understood, or they are no group.
    """
    operations = [_parsed(text) for text in texts]
    if centring:
        if len(operations) * len(centring) > MAX_OPERATIONS:
            raise SymmetryError(f"more than {MAX_OPERATIONS} symmetry operations")
        operations = [shift * one for shift in map(_parsed, centring) for one in operations]
    return _group(operations)


@lru_cache(maxsize=512)
def stated_groups(hall: str, symbol: str, number: str) -> Stated:
    """Operations that a Hall symbol, a Hermann-Mauguin symbol and a number mean; empty texts are not stated.

    Raises:
        SymmetryError: No such symbol or number, and nothing else that would say it.
    """
    found = [_of_hall(hall), _of_symbol(symbol), _of_number(number)]
    known = [groups for groups in found if groups]
    text = ", ".join(one for one in (symbol, hall and f"Hall {hall}", number and f"No. {number}") if one)
    if text and not known:
        raise SymmetryError(f"unknown space group {text[:_MAX_TEXT]}")
    numbers = frozenset(group.number for groups in known for group in groups[:1])
    candidates = tuple(_of_gemmi(group.hall, group.number, group.xhm()) for group in known[0]) if known else ()
    return Stated(candidates, numbers, text)


def orbits(frac: np.ndarray, numbers: np.ndarray, lattice: np.ndarray, operations: Operations) -> Orbits:
    """All images of sites, each site moved onto the special position it lies beside; a site listed twice counts once.

    Arguments:
        frac: Listed sites (n, 3).
        numbers: Their atomic numbers (n,).
        lattice: Rows (3, 3) in Å.
        operations: G operations.

    Raises:
        SymmetryError: There are more than ``MAX_SITES`` images.
    """
    n = len(frac)
    if len(operations) == 1:
        return Orbits(frac, np.arange(n), np.ones(n, dtype=np.int64), 0.0)
    if n * len(operations) > _LARGEST_SITE_SYMMETRY * MAX_SITES:
        raise SymmetryError(f"{n:,} sites under {len(operations)} operations; at most {MAX_SITES:,} atoms are read")
    images: list[np.ndarray] = []
    moved, total = 0.0, 0
    for start in range(0, n, _SITES_AT_ONCE):
        listed = frac[start : start + _SITES_AT_ONCE]
        _, delta = _images(listed, operations)
        stabilizers = _stabilizers(delta, lattice, operations)
        shifts = np.stack([delta[k, stabilizer].mean(axis=0) for k, stabilizer in enumerate(stabilizers)])
        moved = max(moved, float(np.linalg.norm(shifts @ lattice, axis=1).max()))
        for image, stabilizer in zip(_images(listed + shifts, operations)[0], stabilizers, strict=True):
            if len(stabilizer) > 1:
                first = operations.products[:, stabilizer].min(axis=1)  # of the operations with one image
                image = image[first == np.arange(len(operations))]
            images.append(image)
            total += len(image)
        if total > MAX_SITES:
            raise SymmetryError(f"more than {MAX_SITES:,} atoms")
    atoms, sizes = np.concatenate(images), np.array([len(image) for image in images])
    site_of = np.repeat(np.arange(n), sizes)
    repeated = _repeated(atoms, site_of, frac, numbers, lattice) if n * total <= _MOST_COMPARED else []
    sizes[repeated] = 0
    kept = ~np.isin(site_of, repeated)
    return Orbits(atoms[kept] % 1.0, site_of[kept], sizes, moved)


def _images(sites: np.ndarray, operations: Operations) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, G, 3) of sites (n, 3), and how far they are from them in fractions, modulo lattice translations."""
    turned = sites @ operations.rotations.reshape(-1, 3).T
    images = turned.reshape(len(sites), -1, 3) + operations.translations
    delta = images - sites[:, None]
    return images, delta - np.round(delta)


def _stabilizers(delta: np.ndarray, lattice: np.ndarray, operations: Operations) -> list[np.ndarray]:
    """Indices of the operations that leave each site where it is: a group, always."""
    distances = np.linalg.norm(delta @ lattice, axis=-1)
    coarse = (np.abs(delta).max(axis=-1) < MERGE_FRACTION) & (distances < _FARTHEST_MERGE)
    near, exact = coarse | (distances < MERGE_DISTANCE), distances < _EXACT  # nearness need not be transitive
    return [_first_group([near[k], exact[k]], operations) for k in range(len(delta))]


def _first_group(choices: Sequence[np.ndarray], operations: Operations) -> np.ndarray:
    for chosen in choices:
        found = np.flatnonzero(chosen)
        if len(found) == 1 or chosen[operations.products[np.ix_(found, found)]].all():
            return found
    return np.array([operations.identity])


def _repeated(
    atoms: np.ndarray, site_of: np.ndarray, frac: np.ndarray, numbers: np.ndarray, lattice: np.ndarray
) -> list[int]:
    """Sites that are images of earlier ones at another place; one listed twice at its own place is none of them."""
    sizes = np.bincount(site_of, minlength=len(frac))
    starts = np.cumsum(sizes) - sizes
    found = []
    for k in range(1, len(frac)):
        delta = atoms[: starts[k]] - atoms[starts[k]]
        distances = np.linalg.norm((delta - np.round(delta)) @ lattice, axis=1)
        nearest = int(distances.argmin())
        other = site_of[nearest]
        apart = frac[k] - frac[other]
        if (
            distances[nearest] < MERGE_DISTANCE
            and (numbers[k], sizes[k]) == (numbers[other], sizes[other])
            and np.linalg.norm((apart - np.round(apart)) @ lattice) > MERGE_DISTANCE
        ):
            found.append(k)
    return found


def _parsed(text: str) -> gemmi.Op:
    plain = "".join(text.split()).lower()
    try:
        if len(plain) > _MAX_TEXT or set(plain) - set("xyz+-,/.0123456789"):
            raise RuntimeError
        one = gemmi.Op(plain)
    except RuntimeError:
        raise SymmetryError(f"the symmetry operation {text[:_MAX_TEXT]!r} is not understood") from None
    if abs(one.det_rot()) != _DENOMINATOR**3 or any(abs(w) not in {0, _DENOMINATOR} for row in one.rot for w in row):
        raise SymmetryError(f"the symmetry operation {text[:_MAX_TEXT]!r} changes the volume")
    return one.wrap()


def _group(operations: Sequence[gemmi.Op]) -> Operations:
    """Different operations with their products.

    Raises:
        SymmetryError: They are too many, or no group.
    """
    different = list({one.triplet(): one for one in operations}.values())
    if len(different) > MAX_OPERATIONS:
        raise SymmetryError(f"more than {MAX_OPERATIONS} symmetry operations")
    rotations = np.array([one.rot for one in different]) / _DENOMINATOR  # whole numbers, exact as floats
    translations = np.array([one.tran for one in different], dtype=np.float64)
    keys = _keys(rotations, translations)
    order = np.argsort(keys)
    n = len(different)
    turned = rotations.reshape(-1, 3) @ rotations.transpose(1, 0, 2).reshape(3, -1)
    together = turned.reshape(n, 3, n, 3).transpose(0, 2, 1, 3)
    shifts = (rotations.reshape(-1, 3) @ translations.T).reshape(n, 3, n).transpose(0, 2, 1) + translations[:, None]
    product_keys = _keys(together, shifts % _DENOMINATOR)
    places = np.searchsorted(keys[order], product_keys).clip(max=len(keys) - 1)
    products = order[places]
    if (np.abs(together) > 1).any() or (keys[products] != product_keys).any():
        raise SymmetryError(f"the {len(different)} symmetry operations are no group: one is missing or wrong")
    group = gemmi.find_spacegroup_by_ops(gemmi.GroupOps(different))
    identity = next(i for i in range(len(different)) if products[i, i] == i)
    name = group.xhm() if group else f"{len(different)} operations"
    number = group.number if group else 0
    return Operations(rotations, translations / _DENOMINATOR, products.astype(np.int16), identity, number, name)


def _keys(rotations: np.ndarray, translations: np.ndarray) -> np.ndarray:
    """A whole number for each operation (..., 3, 3) and (..., 3)."""
    flat = rotations.reshape(*rotations.shape[:-2], 9) + 1
    return flat @ 3.0 ** np.arange(9) + 3.0**9 * (translations @ float(_DENOMINATOR) ** np.arange(3))


@lru_cache(maxsize=128)
def _of_gemmi(hall: str, number: int, name: str) -> Operations:
    found = _group(list(gemmi.symops_from_hall(hall)))
    return Operations(found.rotations, found.translations, found.products, found.identity, number, name)


def _of_hall(hall: str) -> list[gemmi.SpaceGroup]:
    if not hall or len(hall) > _MAX_TEXT or not hall.isascii():
        return []
    try:
        found = gemmi.find_spacegroup_by_ops(gemmi.symops_from_hall(hall.replace("_", " ").replace("=", '"')))
    except RuntimeError:
        return []
    return [found] if found else []


def _of_symbol(symbol: str) -> list[gemmi.SpaceGroup]:
    """Entries of a Hermann-Mauguin symbol, short, full or extended; two where origin or axes are not said."""
    if not symbol or len(symbol) > _MAX_TEXT or not symbol.isascii():
        return []
    plain = re.sub(r"\((\d)\)|[~_]", r"\1", symbol.strip())
    setting = re.search(r"\s*(?::\s*([12hHrR])|\s?([HRSZ])|\s+O([12])|[\s({]*origin\D*([12])\D*)$", plain)
    choice = ""
    if setting:
        choice = {"S": "1", "Z": "2"}.get(text := next(filter(None, setting.groups())).upper(), text)
        plain = plain[: setting.start()]
    plain = plain[:1].upper() + plain[1:].lower()
    found = gemmi.find_spacegroup_by_name(plain) or _full_symbols().get("".join(plain.split()))
    if found is None:
        return []
    variants = [one for one in _table() if (one.number, one.hm) == (found.number, found.hm)]
    return [one for one in variants if one.ext == choice] or variants


def _of_number(text: str) -> list[gemmi.SpaceGroup]:
    """Entries of the standard symbol of a space group; monoclinic ones with each unique axis."""
    if not re.fullmatch(r"[0-9]{1,3}", text):
        return []
    of_number = [one for one in _table() if one.number == int(text)]
    standard = [one for one in of_number if one.is_reference_setting()]
    same = [one for one in of_number if standard and one.hm == standard[0].hm]
    return same + [one for one in of_number if one.qualifier in {"c", "c1", "a", "a1"}]


@lru_cache(maxsize=1)
def _table() -> tuple[gemmi.SpaceGroup, ...]:
    return tuple(gemmi.spacegroup_table())


@lru_cache(maxsize=1)
def _full_symbols() -> dict[str, gemmi.SpaceGroup]:
    """Space groups by full symbols without blanks, such as ``F4/m-32/m``, which gemmi does not know."""
    entries = [moyopy.HallSymbolEntry(k) for k in range(530, 0, -1)]
    named = {entry.hm_full.replace(" ", "").replace("_", ""): _of_hall(entry.hall_symbol) for entry in entries}
    return {name: groups[0] for name, groups in named.items() if groups}
