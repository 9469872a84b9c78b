"""The autoregressive sampler: one orbit after the other, so that size, elements and composition are met exactly.

Under the noise that empties positions (absorbing D3PM, Austin et al., 2021) reverse diffusion is a chain of jumps,
each of which fills one variable. The rate of variable i towards value v is

    r_i(v) = p(x_0,i = v | x_t) / t

Where the next jump leads is therefore drawn from those probabilities alone, and no two orbits are placed without sight
of each other, as they are where many variables take a step at once. Only the time of the jump has to be guessed; it is
the share of the atoms that are still to come.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from nucleate.diffusion.categorical import drawn
from nucleate.diffusion.noise import KeyedNoise
from nucleate.networks.wyckoff_gnn import Logits
from nucleate.representations.wyckoff import Occupations, Orbits
from nucleate.symmetry.wyckoff import most_orbits, shared_out

RowDenoiser = Callable[[Occupations, Tensor, Tensor], Logits]
"""Logits from occupations and times of some rows (R,) of a batch, and the numbers of those rows."""
_Need = tuple[int, tuple[int, ...]]
_LEAST = 1e-30


@dataclass(frozen=True)
class Demand:
    """Contents that B crystals have to end with.

    Attributes:
        n_atoms: Atoms in the primitive cell, shape (B,).
        elements: Most atoms of each element, shape (B, E); with ``exact`` that many.
        needed: Elements that each crystal has to hold, bool, shape (E,).
        exact: Whether the composition is given.
        counts: Atoms of each element, whichever, in falling order, all zero where they are free, shape (B, C).
    """

    n_atoms: Tensor
    elements: Tensor
    needed: Tensor
    exact: bool
    counts: Tensor

    def room(self, rows: Tensor, held: Tensor) -> Tensor:
        """Most atoms of each element that may still come to rows (R,) of composition (R, E), shape (R, E)."""
        elements, counts = self.elements[rows], self.counts[rows]
        rest = (self.n_atoms[rows] - held.sum(1))[:, None]
        if self.exact:
            return torch.minimum(elements - held, rest)
        room = torch.where(elements > 0, rest, 0)
        given = (counts.sum(1) > 0)[:, None]
        full = ((held > 0).sum(1) >= (counts > 0).sum(1))[:, None]
        within = torch.where(full & (held == 0), 0, counts[:, :1] - held)
        return torch.where(given, torch.minimum(room, within), room)

    def completes(self, row: int, state: Occupations) -> bool:
        """Whether what crystal ``row`` still lacks fits on the positions that its state (of one crystal) leaves."""
        place, held, counts = state.multiplicity[0].tolist(), state.composition[0], state.counts[0]
        n_free, fixed = state.n_free[0].tolist(), state.fixed[0].tolist()
        left = tuple(sorted(m for m, f, z in zip(place, n_free, fixed, strict=True) if f == 0 and z == 0))
        loose = [p for p, f in enumerate(n_free) if f > 0]
        if self.exact:
            rest = self.elements[row] - held
            if bool((rest < 0).any()):
                return False
            needs = []
            for e in rest.nonzero().flatten().tolist():
                open_here = {place[p] for p in loose if int(counts[p, e]) == 0}
                needs.append((int(rest[e]), tuple(sorted(open_here))))
            return shared_out(left, tuple(sorted(needs)))
        missing = int((self.needed & (held == 0)).sum())
        allowed = self.elements[row] > 0
        classes = [n for n in self.counts[row].tolist() if n]
        if classes:
            new = len(classes) - int((held > 0).sum())
            if not missing <= new <= int((allowed & (held == 0)).sum()) or (bool(self.needed.any()) and new > missing):
                return False
            every = tuple(sorted({place[p] for p in loose}))
            some = [
                (int(held[e]), tuple(sorted({place[p] for p in loose if int(counts[p, e]) == 0})))
                for e in held.nonzero().flatten().tolist()
            ]
            return _dealt(left, tuple(sorted(some, reverse=True)), tuple(classes), every)
        free = {place[p] for p in loose if missing or bool((allowed & (counts[p] == 0)).any())}
        total = int(self.n_atoms[row] - held.sum())
        return total >= 0 and most_orbits(left, tuple(sorted(free)), total) >= missing


@lru_cache(maxsize=65536)
def _dealt(
    left: tuple[int, ...],
    held: tuple[tuple[int, tuple[int, ...]], ...],
    classes: tuple[int, ...],
    free: tuple[int, ...],
) -> bool:
    """Whether elements that hold atoms can each grow to one of the classes, and others fill the rest.

    Arguments:
        left: Multiplicities of fixed positions that are empty, sorted.
        held: Atoms of each element, and multiplicities of the free positions that can take more of it.
        classes: Atoms that each element of the crystal shall have in the end.
        free: Multiplicities of all free positions.
    """

    def deal(some: tuple[_Need, ...], rest: tuple[int, ...], needs: tuple[_Need, ...]) -> bool:
        if not some:
            return shared_out(left, tuple(sorted(need for need in (*needs, *((n, free) for n in rest)) if need[0])))
        (atoms, where), *others = some
        for n in sorted({n for n in rest if n >= atoms}):
            at = rest.index(n)
            if deal(tuple(others), rest[:at] + rest[at + 1 :], (*needs, (n - atoms, where))):
                return True
        return False

    return deal(held, classes, ())


def place_orbits(
    denoiser: RowDenoiser, demand: Demand, group: Tensor, noise: KeyedNoise, temperature: float
) -> Occupations:
    """Occupations of B crystals, orbit by orbit.

    A crystal whose positions cannot hold what is demanded ends with what they can.

    Arguments:
        denoiser: Logits of the clean occupations.
        demand: What has to come out.
        group: Space groups, shape (B,).
        noise: Of these crystals.
        temperature: Dimensionless, of the distribution that each orbit is drawn from.
    """
    none = torch.zeros(len(group), 1, dtype=torch.int64)
    state = Orbits(group, none, none).occupations(demand.elements.shape[1])
    fixed, counts = state.fixed.clone(), state.counts.clone()
    rows = torch.arange(len(group))
    step = 0
    while len(rows):
        here = Occupations(group[rows], fixed[rows], counts[rows])
        missing = (demand.n_atoms[rows] - here.composition.sum(1)) / demand.n_atoms[rows]
        weights = _weights(denoiser(here, missing, rows), here, demand, rows, temperature)
        u = noise.at(step).uniform("orbit", (len(group),))[rows].double()
        waiting = (weights.sum(1) > 0).nonzero().flatten()
        placed = torch.zeros(len(rows), dtype=torch.bool)
        while len(waiting):
            slot = drawn(weights[waiting], u[waiting])
            again = []
            for k, where in zip(waiting.tolist(), slot.tolist(), strict=True):
                row = int(rows[k])
                place, element, count = _slot(where, counts.shape[1], counts.shape[2], weights.shape[1])
                before = int(fixed[row, place]), int(counts[row, place, element])
                if count == 0:
                    fixed[row, place] = element + 1
                else:
                    counts[row, place, element] = count
                one = Occupations(group[row : row + 1], fixed[row : row + 1], counts[row : row + 1])
                if demand.completes(row, one):
                    placed[k] = True
                    continue
                fixed[row, place], counts[row, place, element] = before
                weights[k, where] = 0.0
                if weights[k].sum() > 0:
                    again.append(k)
            waiting = torch.tensor(again, dtype=torch.int64)
        rows = rows[placed]
        rows = rows[Occupations(group[rows], fixed[rows], counts[rows]).composition.sum(1) < demand.n_atoms[rows]]
        step += 1
    return Occupations(group, fixed, counts)


def _weights(logits: Logits, state: Occupations, demand: Demand, rows: Tensor, temperature: float) -> Tensor:
    """Weight of each jump, shape (R, P E + P E (K - 1)): an element on a fixed position, or a count of one.

    What has no room gets none.
    """
    size, n_free = state.multiplicity, state.n_free
    room = demand.room(rows, state.composition)
    number = torch.arange(1, logits.counts.shape[-1])
    on_fixed = ((n_free == 0) & (state.fixed == 0))[..., None] & (size[..., None] <= room[:, None])
    on_free = ((n_free > 0)[..., None] & (state.counts == 0))[..., None]
    on_free = on_free & (size[:, :, None, None] * number <= room[:, None, :, None])
    parts = []
    for answer, may in ((logits.fixed, on_fixed), (logits.counts, on_free)):
        open_to = torch.cat([torch.ones_like(may[..., :1]), may], -1)
        chance = torch.log_softmax(answer.masked_fill(~open_to, -torch.inf).double(), -1)[..., 1:]
        # What can be placed at all keeps a chance, however little the network thinks of it.
        parts.append(((chance / temperature).exp().clamp_min(_LEAST) * may).flatten(1))
    return torch.cat(parts, 1)


def _slot(where: int, places: int, elements: int, options: int) -> tuple[int, int, int]:
    """Place, element and count of a jump; a count of 0 stands for a fixed position."""
    pairs = places * elements
    if where < pairs:
        return where // elements, where % elements, 0
    most = options // pairs - 1
    pair, count = divmod(where - pairs, most)
    return pair // elements, pair % elements, count + 1
