"""Substitution: known structures with their elements replaced by similar ones.

After G. Hautier et al., Inorg. Chem. 50, 656 (2011), with a likeness of elements in place of mined probabilities.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from typing import Final

import numpy as np
import torch

from nucleate.conditions.quantities import MAX_ATOMS
from nucleate.conditions.request import Conditions
from nucleate.crystal.crystals import Crystals
from nucleate.crystal.formula import compositions, reduced
from nucleate.data.reference import Reference
from nucleate.descriptors.composition import is_charge_balanced
from nucleate.descriptors.element_similarity import is_known, likeness, likeness_matrix
from nucleate.descriptors.element_tables import cell_volume
from nucleate.descriptors.geometry import validity
from nucleate.errors import UserError
from nucleate.search.cell_priors import DEFAULT_ELEMENTS, Counts, check_request, crystal_stream
from nucleate.search.random_search import space_group

ATTEMPTS = 60
"""Replacements drawn for one crystal before one that is not charge-balanced is accepted."""

LARGEST_BY_DEFAULT = 60
"""Prototypes with more sites are used only if a number of atoms is asked for."""

LARGEST_PERMUTED = 6
"""Elements of a prototype that a requested system can be distributed over in every way."""


class Substitution:
    """Generator ``substitution``: each crystal is a known structure with at least one element replaced.

    The cell keeps its shape and its fractional coordinates; its volume is scaled by the elements' volumes. Charge
    balance is preferred, and a crystal never has the composition of its parent.

    Arguments:
        structures: Known structures; those with elements or sites that cannot be used are left out.

    Raises:
        UserError: No structure can be used.
    """

    name: Final = "substitution"

    def __init__(self, structures: Crystals) -> None:
        self.structures = structures.to("cpu", torch.float64)
        usable = validity(self.structures).is_valid.tolist()
        self._counts: list[Counts] = compositions(self.structures)
        self._parents = [i for i, counts in enumerate(self._counts) if usable[i] and all(is_known(z) for z in counts)]
        if not self._parents:
            raise UserError(
                "structures to substitute into",
                f"none of {len(structures)} that can be used",
                "valid crystals of elements up to Pu",
            )
        self._groups: dict[int, int] = {}

    def sample(
        self,
        n: int,
        where: Conditions | None = None,
        seed: int = 0,
        start: int = 0,
        progress: Callable[[int], None] | None = None,
    ) -> Crystals:
        """Crystals number ``start`` to ``start + n - 1`` of the request; each depends only on (seed, number).

        Arguments:
            n: Number of crystals.
            where: Chemical system, composition, number of atoms and space group.
            seed: Seed of the request.
            start: Number of the first crystal.
            progress: Called with the number of crystals finished so far.

        Raises:
            UserError: The request holds what substitution cannot aim at, or no prototype can meet it.
        """
        where = where or Conditions()
        check_request(where, self.name)
        parents = self._suitable(where)
        parts = []
        for done, index in enumerate(range(start, start + n), 1):
            parts.append(self._crystal(crystal_stream(seed, index), where, parents))
            if progress is not None:
                progress(done)
        return Crystals.concatenate(parts)

    def _suitable(self, where: Conditions) -> list[int]:
        """Prototypes that some replacement can turn into the request."""
        low, high = where.n_atoms or (1, max(LARGEST_BY_DEFAULT, sum((where.composition or {}).values())))
        parents = [i for i in self._parents if low <= sum(self._counts[i].values()) <= min(high, MAX_ATOMS)]
        found, expected = "no prototype of that size", f"a size between {low} and {high} that the structures have"
        if parents:
            found, expected = "no prototype with these proportions", "a composition whose anonymous formula is known"
            if where.composition is not None:
                pattern = sorted(where.composition.values())
                parents = [i for i in parents if sorted(reduced(self._counts[i]).values()) == pattern]
            elif where.chemical_system is not None:
                most = len(where.chemical_system)
                allowed = range(1, most + 1) if where.allow_subsystems else range(most, most + 1)
                parents = [i for i in parents if len(self._counts[i]) in allowed]
            parents = [i for i in parents if len(self._counts[i]) <= LARGEST_PERMUTED]
        if parents and where.space_group is not None:
            found, expected = f"no such prototype in space group {where.space_group}", "a space group that one has"
            parents = [i for i in parents if self._group(i) == where.space_group]
        if parents and (where.composition is not None or where.chemical_system is not None):
            found, expected = "only the known structure itself", "a request that leaves another prototype"
            parents = [i for i in parents if _assignments(self._counts[i], where)]
        if not parents:
            raise UserError("--where", found, expected)
        return parents

    def _group(self, parent: int) -> int:
        if parent not in self._groups:
            self._groups[parent] = space_group(self.structures[parent])
        return self._groups[parent]

    def _crystal(self, rng: np.random.Generator, where: Conditions, parents: list[int]) -> Crystals:
        fallback: Crystals | None = None
        for attempt in range(10 * ATTEMPTS):
            parent = parents[int(rng.integers(len(parents)))]
            counts = self._counts[parent]
            replacement = _replacement(rng, counts, where)
            if replacement is None:
                continue
            new = {replacement[z]: n for z, n in counts.items()}
            balanced = is_charge_balanced(new)
            if fallback is not None and not balanced:
                if attempt >= ATTEMPTS:
                    return fallback
                continue
            crystal = self._replaced(parent, replacement)
            if not bool(validity(crystal).is_valid[0]):
                continue
            if where.space_group is not None and space_group(crystal) != where.space_group:
                continue  # the tolerance is in Å, and the cell has changed its size
            if balanced:
                return crystal
            fallback = crystal
        if fallback is None:
            raise UserError("--where", "only replacements with atoms too close", "other elements or sizes")
        return fallback

    def _replaced(self, parent: int, replacement: dict[int, int]) -> Crystals:
        crystal, counts = self.structures[parent], self._counts[parent]
        numbers = crystal.numbers.clone()
        for old, new in replacement.items():
            numbers[crystal.numbers == old] = new
        volume = cell_volume({replacement[z]: n for z, n in counts.items()}) / cell_volume(counts)
        return Crystals(numbers, crystal.frac, crystal.lattice * volume ** (1 / 3), crystal.n_atoms)


def _replacement(rng: np.random.Generator, counts: Counts, where: Conditions) -> dict[int, int] | None:
    """New element for each old one; None where this draw does not work out."""
    if where.composition is not None or where.chemical_system is not None:
        options = _assignments(counts, where)
        weights = np.array([_weight(option) for option in options])
        return options[int(rng.choice(len(options), p=weights / weights.sum()))]
    old = tuple(counts)
    changed = rng.random(len(old)) < 0.5
    changed[int(rng.integers(len(old)))] = True
    replacement = {z: z for z, moves in zip(old, changed, strict=True) if not moves}
    for z in rng.permutation([z for z, moves in zip(old, changed, strict=True) if moves]).tolist():
        free = tuple(e for e in DEFAULT_ELEMENTS if e != z and e not in replacement.values())
        weights = likeness_matrix((z,), free)[0]
        replacement[z] = int(free[int(rng.choice(len(free), p=weights / weights.sum()))])
    return None if reduced({replacement[z]: n for z, n in counts.items()}) == reduced(counts) else replacement


def _assignments(counts: Counts, where: Conditions) -> list[dict[int, int]]:
    """Every way to put the requested elements on the old ones, without the parent's own composition."""
    old, parent = tuple(counts), reduced(counts)
    elements = tuple(where.composition or where.chemical_system or ())
    result = []
    for new in permutations(elements, len(old)):
        made = {e: parent[z] for e, z in zip(new, old, strict=True)}
        if made != parent and (where.composition is None or made == dict(where.composition)):
            result.append(dict(zip(old, new, strict=True)))
    return result


def _weight(replacement: dict[int, int]) -> float:
    return float(np.prod([likeness(old, new) for old, new in replacement.items()])) + 1e-12


def bundled_substitution() -> Substitution:
    """Substitution into the structures of the bundled reference."""
    return Substitution(Reference.load("bundled").structures)
