"""Templates: the symmetry of known crystals without their elements, distances and free coordinates.

A template says how many sites there are, which operations tie them, and which orbits hold the same element. A
walk that keeps to one yields a crystal of its space group (Jiao et al., Space group constrained crystal
generation, ICLR 2024, take their templates from the training data as well).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nucleate.crystal.crystals import Crystals, wrap
from nucleate.symmetry.orbits import SiteOrbits, metric_average
from nucleate.symmetry.space_group import SYMPREC, search

TRANSLATIONS = 24
"""In the standard origin every translation of a space group is a multiple of 1/24 of a primitive vector."""
ROTATIONS = 48
"""Most operations of a point group; a mean over a subgroup is a multiple of 1/48."""
OFFSETS = TRANSLATIONS * ROTATIONS
TICKS = 1000
"""Steps of a cell edge; coordinates closer than one count as equal where sites are put in order."""

_TABLES = ("rotations", "bases", "projectors", "metrics")
_FIELDS = (
    *_TABLES, "groups", "weights", "n_sites", "n_orbits", "metric", "site_rotation", "site_shift", "site_orbit",
    "orbit_site_symmetry", "orbit_offset", "orbit_class",
)  # fmt: skip


@dataclass(frozen=True)
class TemplatedCrystals:
    """B crystals on the templates that were taken from them.

    Attributes:
        crystals: In double precision, with sites in the order of their templates and coordinates from their origins.
        template: Row of each crystal's template, -1 for none, shape (B,).
        ideal: Fractional coordinates with their symmetry made exact, shape (B, N, 3).
    """

    crystals: Crystals
    template: Tensor
    ideal: Tensor


class OrbitTemplates(nn.Module):
    """T templates; whole numbers only, so that files are small and exact.

    Tables: ``rotations`` (., 3, 3), ``bases`` and ``projectors`` of site symmetries (., 3, 3; projectors in
    1/48), ``metrics`` (., 6, 6; in 1/48). Templates: space group ``groups``, number of crystals ``weights``,
    ``n_sites``, ``n_orbits``, row of the ``metric`` table, each (T,). Sites of all templates in turn: row of
    ``site_rotation``, ``site_shift`` in 1/24, ``site_orbit`` within its template. Orbits of all templates in turn:
    row of ``orbit_site_symmetry``, ``orbit_offset`` in 1/1152, ``orbit_class`` (equal for equal elements).
    The first site of an orbit is its representative.

    Arguments:
        rank: Of each element, by atomic number: sites stand in the order of their elements' ranks and then of their
            coordinates from the template's origin. None for larger classes first and orbits one after the other, so
            that a template knows nothing of its elements.
    """

    rotations: Tensor
    bases: Tensor
    projectors: Tensor
    metrics: Tensor
    groups: Tensor
    weights: Tensor
    n_sites: Tensor
    n_orbits: Tensor
    metric: Tensor
    site_rotation: Tensor
    site_shift: Tensor
    site_orbit: Tensor
    orbit_site_symmetry: Tensor
    orbit_offset: Tensor
    orbit_class: Tensor

    def __init__(self, rank: Sequence[float] | None = None) -> None:
        super().__init__()
        self.rank = rank
        for name in _FIELDS:
            self.register_buffer(name, torch.zeros(0, dtype=torch.int16))

    def __len__(self) -> int:
        return len(self.n_sites)

    def fit(self, crystals: Crystals, symprec: float = SYMPREC) -> TemplatedCrystals:
        """Take the templates of crystals at a tolerance of ``symprec`` Å; those without a symmetry give none."""
        exact = crystals.to("cpu", torch.float64)
        row: dict[tuple[Any, ...], int] = {}
        weights: list[int] = []
        template = torch.full((len(exact),), -1)
        numbers, frac = exact.numbers.clone(), exact.frac.clone()
        for i, found in enumerate(search(exact, symprec)):
            if found is None:
                continue
            z, x, cell = (value.numpy() for value in exact.sites(i))
            taken = _template(found, z, x, cell, self.rank)
            if taken is None:
                continue
            key, order, origin = taken
            template[i] = row.setdefault(key, len(row))
            weights.extend([0] * (len(row) - len(weights)))
            weights[template[i]] += 1
            n = len(order)
            numbers[i, :n] = numbers[i, :n][order]
            frac[i, :n] = exact.frac[i, :n][order] - torch.from_numpy(origin)
        for name, value in _stacked(row, weights).items():
            self.register_buffer(name, value)
        ideal = frac
        if len(self):
            orbits = self.rows(template.clamp_min(0), torch.float64)[0].padded(frac.shape[1])
            orbits = orbits.where(template >= 0)
            ideal = orbits.positions(orbits.free(frac - orbits.offset))
        real = exact.mask[..., None]
        placed = Crystals(numbers, wrap(frac) * real, exact.lattice, exact.n_atoms)
        return TemplatedCrystals(placed, template, wrap(ideal) * real)

    def extend(self, others: OrbitTemplates) -> None:
        """Add the templates of others behind these, with weights of zero."""
        shift = {
            "metric": len(self.metrics),
            "site_rotation": len(self.rotations),
            "orbit_site_symmetry": len(self.bases),
        }
        for name in _FIELDS:
            mine, theirs = getattr(self, name), getattr(others, name).to(self.n_sites.device)
            theirs = theirs + shift.get(name, 0) if name != "weights" else torch.zeros_like(theirs)
            self.register_buffer(name, torch.cat([mine, theirs.to(mine.dtype)]) if len(mine) else theirs)

    def class_counts(self, composition: Mapping[int, int]) -> list[int]:
        """The counts of a composition in the order in which classes stand."""
        if self.rank is None:
            return sorted(composition.values(), reverse=True)
        return [composition[z] for z in _by_rank(composition, self.rank)]

    @property
    def class_sizes(self) -> Tensor:
        """Sites of each class, shape (T, K), zero beyond the classes of a template."""
        template, orbit = self._orbit_of_sites()
        of_site = self.orbit_class.long()[orbit]
        width = int(of_site.max()) + 1 if len(of_site) else 1
        sizes = torch.zeros(len(self), width, dtype=torch.int64, device=of_site.device)
        return sizes.index_put((template, of_site), torch.ones_like(of_site), accumulate=True)

    def members(self, which: Tensor, numbers: Tensor) -> Tensor:
        """The element of each class, shape (B, K), 0 beyond the classes of a template.

        Arguments:
            which: Templates, -1 for none, shape (B,).
            numbers: Atomic numbers of crystals from :meth:`fit`, shape (B, N).
        """
        if not len(self):
            return torch.zeros(len(which), 0, dtype=torch.int64)
        _, classes = self.rows(which.clamp_min(0))
        own = numbers[:, : classes.shape[1]].to(classes.device)
        slot = torch.where((which[:, None] < 0).to(classes.device), -1, classes) + 1
        found = torch.zeros(len(which), self.class_sizes.shape[1] + 1, dtype=torch.int64, device=classes.device)
        return found.scatter(1, slot, own)[:, 1:]

    def rows(self, which: Tensor, dtype: torch.dtype = torch.float32) -> tuple[SiteOrbits, Tensor]:
        """Orbits of templates ``which`` (B,) and the class of each site (B, N), -1 at padding."""
        which = which.to(self.n_sites.device)
        n_sites = self.n_sites.long()[which]
        place = torch.arange(int(n_sites.max()), device=which.device)
        real = place < n_sites[:, None]
        site = torch.where(real, _starts(self.n_sites)[which][:, None] + place, 0)
        local = torch.where(real, self.site_orbit.long()[site], 0)
        orbit = _starts(self.n_orbits)[which][:, None] + local
        # A representative comes first in its orbit, so it is where the orbit's number is seen first.
        same = (local[:, :, None] == local[:, None, :]) & real[:, None, :]
        first = torch.where(real, same.to(torch.int8).argmax(-1), place)
        kind = self.orbit_site_symmetry.long()[orbit]
        eye = torch.eye(3, device=which.device, dtype=dtype)
        inside = real[..., None, None]
        turned = self.site_rotation.long()[site]
        turn = self.rotations[turned].to(dtype)
        zero = torch.zeros(3, device=which.device, dtype=dtype)
        return SiteOrbits(
            first,
            torch.where(inside, turn, eye),
            torch.where(inside, torch.linalg.inv(self.rotations.to(dtype)).round()[turned], eye),
            torch.where(real[..., None], self.site_shift[site].to(dtype) / TRANSLATIONS, zero),
            torch.where(inside, self.bases[kind].to(dtype), eye),
            torch.where(inside, torch.linalg.pinv(self.bases.to(dtype))[kind], eye),
            torch.where(inside, self.projectors[kind].to(dtype) / ROTATIONS, eye),
            torch.where(real[..., None], self.orbit_offset[orbit].to(dtype) / OFFSETS, zero),
            self.metrics[self.metric.long()[which]].to(dtype) / ROTATIONS,
        ), torch.where(real, self.orbit_class.long()[orbit], -1)

    def _orbit_of_sites(self) -> tuple[Tensor, Tensor]:
        template = torch.repeat_interleave(torch.arange(len(self), device=self.n_sites.device), self.n_sites.long())
        return template, _starts(self.n_orbits)[template] + self.site_orbit.long()

    def _load_from_state_dict(self, state: dict[str, Tensor], prefix: str, *rest: Any) -> None:
        """Take the sizes from the file: they are data, not architecture."""
        for name in _FIELDS:
            if prefix + name in state:
                self.register_buffer(name, torch.empty_like(state[prefix + name], device=self.n_sites.device))
        super()._load_from_state_dict(state, prefix, *rest)


def _by_rank(elements: Iterable[int], rank: Sequence[float]) -> list[int]:
    return sorted(elements, key=lambda z: (rank[z], z))


def _starts(counts: Tensor) -> Tensor:
    return torch.cumsum(counts.long(), 0) - counts.long()


def _template(
    found: Any, numbers: np.ndarray, frac: np.ndarray, lattice: np.ndarray, rank: Sequence[float] | None
) -> tuple[tuple[Any, ...], list[int], np.ndarray] | None:
    """One crystal's template as nested tuples, equal for equal templates; its sites in that order; the origin.

    None where the operations do not fit.
    """
    origin = np.array(found.prim_std_origin_shift)
    orbits = np.array(found.orbits)
    before = np.arange(len(numbers))
    if rank is not None:
        before = _sorted_sites(numbers, frac - origin, rank)
        numbers, frac = numbers[before], frac[before]
        orbits = np.array([np.flatnonzero(orbits[before] == orbit)[0] for orbit in orbits[before]])
    rotations = np.array(found.operations.rotations)
    moved = np.array(found.operations.translations) + rotations @ origin - origin
    shifts = np.round(moved * TRANSLATIONS)
    if np.abs(moved * TRANSLATIONS - shifts).max() > 0.05:
        return None
    z = frac - origin
    images = np.einsum("kab,ib->kia", rotations, z) + (shifts / TRANSLATIONS)[:, None]
    sites = []
    for first in np.unique(orbits):
        members = np.flatnonzero(orbits == first)
        if len(rotations) % len(members):  # the library leaves operations of some larger cells out
            return None
        offset, kind = _representative(images[:, first], rotations, shifts, z[first], lattice, len(members))
        if offset is None:
            return None
        placed = []
        for member in members:
            nearest = _gap(images[:, first] - z[member], lattice).argmin() if member != first else None
            turn = np.eye(3, dtype=int) if nearest is None else rotations[nearest]
            shift = np.zeros(3) if nearest is None else np.mod(shifts[nearest], TRANSLATIONS)
            placed.append(((tuple(turn.astype(int).ravel().tolist()), tuple(shift.astype(int).tolist())), int(member)))
        placed[1:] = sorted(placed[1:])
        described_so = (offset, kind, tuple(where for where, _ in placed))
        sites.append((int(numbers[first]), described_so, [member for _, member in placed]))
    count = Counter(numbers.tolist())
    of = {z: sorted((site[1:] for site in sites if site[0] == z), key=lambda site: site[0]) for z in count}
    # Without ranks equal classes are in an order that does not depend on what the elements are.
    if rank is None:
        ordered = sorted(count, key=lambda z: (-count[z], [site[0] for site in of[z]]))
    else:
        ordered = _by_rank(count, rank)
    metric = np.round(metric_average(torch.from_numpy(rotations).double()).numpy() * ROTATIONS).astype(int)
    classes = tuple(tuple(described for described, _ in of[z]) for z in ordered)
    order = np.array([member for z in ordered for _, members in of[z] for member in members])
    sequence = np.arange(len(order)) if rank is None else np.argsort(order)
    key = (int(found.number), tuple(metric.ravel().tolist()), classes, tuple(sequence.tolist()))
    return key, before[order[sequence]].tolist(), origin


def _sorted_sites(numbers: np.ndarray, frac: np.ndarray, rank: Sequence[float]) -> np.ndarray:
    ticks = np.round(frac * TICKS).astype(int) % TICKS
    return np.lexsort([*ticks.T[::-1], numbers, np.array(rank)[numbers]])


def _representative(
    images: np.ndarray, rotations: np.ndarray, shifts: np.ndarray, z: np.ndarray, lattice: np.ndarray, size: int
) -> tuple[tuple[int, ...] | None, tuple[tuple[int, ...], tuple[int, ...]] | None]:
    """Offset, and basis and projector, of the site symmetry of a point, from the operations that keep it."""
    stay = np.argsort(_gap(images - z, lattice), kind="stable")[: len(rotations) // size]
    whole = np.round(z - images[stay])
    exact = (shifts[stay] / TRANSLATIONS + whole).mean(0)
    projector = np.round(rotations[stay].mean(0) * ROTATIONS).astype(int)
    basis = _invariant_basis(tuple(projector.ravel().tolist()))
    offset = np.round(exact * OFFSETS)
    if basis is None or np.abs(offset).max() > np.iinfo(np.int16).max:
        return None, None
    return tuple(offset.astype(int).tolist()), (basis, tuple(projector.ravel().tolist()))


def _gap(difference: np.ndarray, lattice: np.ndarray) -> np.ndarray:
    """Distances in Å of points that are images of each other but for rounding."""
    return np.linalg.norm((difference - np.round(difference)) @ lattice, axis=-1)


@lru_cache(maxsize=4096)
def _invariant_basis(projector: tuple[int, ...]) -> tuple[int, ...] | None:
    """Columns spanning the whole-numbered vectors that a projector (in 1/48) leaves alone, as a flat 3 x 3."""
    matrix = np.array(projector).reshape(3, 3)
    rank = round(np.trace(matrix) / ROTATIONS)
    if not np.array_equal(matrix @ matrix, ROTATIONS * matrix):
        return None
    span = np.arange(-3, 4)
    vectors = np.stack(np.meshgrid(span, span, span, indexing="ij"), -1).reshape(-1, 3)
    kept = vectors[(vectors @ matrix.T == ROTATIONS * vectors).all(1) & vectors.any(1)]
    kept = kept[np.argsort((kept**2).sum(1), kind="stable")]
    if rank == 0:
        return (0,) * 9
    if rank == 3:
        return tuple(np.eye(3, dtype=int).ravel().tolist())
    # Orthogonal ones first: noise in the numbers along them is independent.
    for chosen in sorted(combinations(kept[:24], rank), key=lambda pair: rank == 2 and pair[0] @ pair[1] != 0):
        content = np.cross(*chosen) if rank == 2 else chosen[0]
        if np.gcd.reduce(content) == 1:  # primitive: no invariant vector lies between
            columns = np.zeros((3, 3), dtype=int)
            columns[:, :rank] = np.stack(chosen, 1)
            return tuple(columns.ravel().tolist())
    return None


def _stacked(templates: Iterable[tuple[Any, ...]], weights: list[int]) -> dict[str, Tensor]:
    """The buffers of templates, in order."""
    tables: dict[str, dict[tuple[int, ...], int]] = {name: {} for name in ("rotations", "kinds", "metrics")}

    def row(table: str, value: Any) -> int:
        return tables[table].setdefault(value, len(tables[table]))

    lists: dict[str, list[Any]] = {name: [] for name in _FIELDS if name not in _TABLES}
    for (group, metric, classes, sequence), weight in zip(templates, weights, strict=True):
        orbits = [(label, *orbit) for label, members in enumerate(classes) for orbit in members]
        lists["groups"].append(group)
        lists["weights"].append(weight)
        lists["metric"].append(row("metrics", metric))
        lists["n_orbits"].append(len(orbits))
        lists["n_sites"].append(sum(len(placed) for *_, placed in orbits))
        sites = []
        for number, (label, offset, kind, placed) in enumerate(orbits):
            lists["orbit_class"].append(label)
            lists["orbit_offset"].append(offset)
            lists["orbit_site_symmetry"].append(row("kinds", kind))
            sites += [(number, *where) for where in placed]
        for number, turn, shift in (sites[i] for i in sequence):
            lists["site_rotation"].append(row("rotations", turn))
            lists["site_shift"].append(shift)
            lists["site_orbit"].append(number)
    small = {"site_shift": torch.int8, "site_orbit": torch.int8, "orbit_class": torch.int8}
    stacked = {name: torch.tensor(value, dtype=small.get(name, torch.int16)) for name, value in lists.items()}
    kinds = list(tables["kinds"])
    stacked["rotations"] = torch.tensor(list(tables["rotations"]), dtype=torch.int8).reshape(-1, 3, 3)
    stacked["bases"] = torch.tensor([basis for basis, _ in kinds], dtype=torch.int8).reshape(-1, 3, 3)
    stacked["projectors"] = torch.tensor([mean for _, mean in kinds], dtype=torch.int16).reshape(-1, 3, 3)
    stacked["metrics"] = torch.tensor(list(tables["metrics"]), dtype=torch.int16).reshape(-1, 6, 6)
    return stacked
