"""Bonds and angles of periodic crystals as flat index tensors, each bond once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.periodic import bonds_within

MAX_BONDS, MAX_ANGLES = 400_000, 2_000_000
"""More than this in one crystal mean that its cell, or some of its sites, have collapsed."""


class TooManyBondsError(ValueError):
    """A crystal is so dense that its bonds, or the angles between them, cannot be listed."""


@dataclass(frozen=True)
class BondGraph:
    """U undirected bonds and A angles over the n atoms of a batch, atoms numbered through.

    A bond runs from atom ``first`` to the image ``shift`` of atom ``second``; the first ``n_short``
    bonds are those that form angles. An angle at an atom lies between two different bond ends there;
    both orders are listed, as CHGNet does.

    Attributes:
        numbers: Atomic numbers, shape (n,).
        owner: Crystal of each atom, shape (n,).
        first, second: Atoms at the two ends, shape (U,).
        vectors: From the first to the second end in Å, shape (U, 3), float64.
        n_short: Number of bonds inside the angle cutoff.
        angle_centre: Atom at the apex, shape (A,).
        angle_left, angle_right: Bonds of the two legs, shape (A,).
        angle_sign: 1 where both legs run the same way (both outwards or both inwards), else -1; shape (A,).
    """

    numbers: Tensor
    owner: Tensor
    first: Tensor
    second: Tensor
    vectors: Tensor
    n_short: int
    angle_centre: Tensor
    angle_left: Tensor
    angle_right: Tensor
    angle_sign: Tensor

    def to(self, device: torch.device) -> BondGraph:
        """The same graph on another device."""
        moved: dict[str, Any] = {k: v.to(device) for k, v in vars(self).items() if isinstance(v, Tensor)}
        return replace(self, **moved)


def build_bond_graph(crystals: Crystals, cutoff: float, angle_cutoff: float) -> BondGraph:
    """All bonds up to ``cutoff`` (Å) and all angles between bonds up to ``angle_cutoff`` (Å).

    Raises:
        TooManyBondsError: A crystal is far too dense.
    """
    firsts, seconds, vectors = [], [], []
    offset = 0
    n_atoms = crystals.n_atoms.tolist()
    all_frac, all_lattice = (
        part.detach().cpu().numpy().astype(np.float64) for part in (crystals.frac, crystals.lattice)
    )
    for n, frac, lattice in zip(n_atoms, all_frac, all_lattice, strict=True):
        cart = np.ascontiguousarray(frac[:n] @ lattice)
        expected = 0.5 * n * n * 4 / 3 * np.pi * cutoff**3 / max(abs(np.linalg.det(lattice)), 1e-9)
        if expected > MAX_BONDS:
            raise TooManyBondsError(f"about {expected:.0f} bonds within {cutoff} Å: the cell has collapsed")
        i, j, vector = bonds_within(cart, lattice, cutoff)
        vectors.append(vector)
        firsts.append(i + offset)
        seconds.append(j + offset)
        offset += n
    first, second = np.concatenate(firsts), np.concatenate(seconds)
    vector = np.concatenate(vectors)
    short = (vector**2).sum(1) < angle_cutoff**2
    order = np.argsort(~short, kind="stable")
    first, second, vector = first[order], second[order], vector[order]
    n_short = int(short.sum())
    centre, left, right, sign = _angles(first[:n_short], second[:n_short], n_atoms)
    mask = crystals.mask
    return BondGraph(
        numbers=crystals.numbers[mask],
        owner=torch.repeat_interleave(crystals.n_atoms),
        first=torch.from_numpy(first),
        second=torch.from_numpy(second),
        vectors=torch.from_numpy(vector),
        n_short=n_short,
        angle_centre=torch.from_numpy(centre),
        angle_left=torch.from_numpy(left),
        angle_right=torch.from_numpy(right),
        angle_sign=torch.from_numpy(sign),
    )


def _angles(first: np.ndarray, second: np.ndarray, n_atoms: list[int]) -> tuple[np.ndarray, ...]:
    """Ordered pairs of different bond ends at each atom of some crystals: apex, left bond, right bond, sign."""
    bonds = len(first)
    ends = np.concatenate([first, second])
    order = np.argsort(ends, kind="stable")
    apex = ends[order]
    count = np.bincount(ends, minlength=sum(n_atoms))
    of_crystal = np.bincount(np.repeat(np.arange(len(n_atoms)), n_atoms), count * (count - 1))
    if of_crystal.max(initial=0) > MAX_ANGLES:
        raise TooManyBondsError(f"{of_crystal.max():.0f} angles in one crystal: its cell has collapsed")
    start = np.cumsum(count) - count
    repeats = count[apex]
    left = np.repeat(np.arange(2 * bonds), repeats)
    inside = np.arange(repeats.sum()) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    right = start[apex[left]] + inside
    different = left != right
    left, right = left[different], right[different]
    left_end, right_end = order[left], order[right]
    outward = (left_end < bonds) == (right_end < bonds)
    return apex[left], left_end % max(bonds, 1), right_end % max(bonds, 1), np.where(outward, 1.0, -1.0)
