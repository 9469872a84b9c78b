"""Relaxation of crystals in batches by TorchSim: FIRE on positions and the logarithm of the cells' deformations."""

from __future__ import annotations

import contextlib
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nucleate.crystal.crystals import Crystals
from nucleate.errors import Status, UserError
from nucleate.potentials.calculator_server import in_words
from nucleate.potentials.registry import load_potential
from nucleate.potentials.torch_sim import ModelInterface, TorchSimPotential, batches, state_of, ts
from nucleate.relaxation.relaxer import (
    CONTACT,
    MAX_VOLUME_PER_ATOM,
    MIN_VOLUME_PER_ATOM,
    RELAX_V1,
    Array,
    Relaxed,
    RelaxProtocol,
    fault_of,
    has_loose_atom,
    lower_of,
    rattled,
    symmetric_starts,
)


@dataclass(frozen=True)
class _Start:
    """A crystal of n sites to be relaxed.

    Attributes:
        numbers: Atomic numbers, shape (n,).
        frac: Fractional coordinates, shape (n, 3).
        lattice: Lattice, rows in Å, shape (3, 3).
        seconds: Most seconds of processor time that it may take.
    """

    numbers: NDArray[np.int64]
    frac: Array
    lattice: Array
    seconds: float


class TorchSimRelaxer:
    """Relaxes crystals together on a model of TorchSim; the protocol is that of the relaxer of single crystals.

    Steps are those of FIRE (E. Bitzek et al., Phys. Rev. Lett. 97, 170201 (2006)) as ASE takes them. The processor time
    of a step is shared among the crystals that are still moving, by their sites. Everything runs in this process, so
    that a model that hangs is not stopped.

    Arguments:
        potential: Choice of a potential that is a model of TorchSim: ``torchsim`` and keyword arguments.
        protocol: When a relaxation ends.

    Raises:
        UserError: There is no such model, or TorchSim is not installed.
    """

    def __init__(self, potential: str = "torchsim", protocol: RelaxProtocol = RELAX_V1) -> None:
        loaded = load_potential(potential)
        if not isinstance(loaded, TorchSimPotential):
            raise UserError("potential", repr(potential), "a model of TorchSim, such as torchsim,model=chgnet")
        self.potential, self.protocol = loaded, protocol

    def relax(
        self, crystals: Crystals, rattle_seed: int | None = None, indices: Sequence[int] | None = None
    ) -> Iterator[tuple[int, Relaxed]]:
        """Yield (index, outcome) batch by batch; see :meth:`nucleate.relaxation.relaxer.Relaxer.relax`."""
        counts = crystals.n_atoms.tolist()
        # Large crystals first: where memory does not suffice, that shows at once.
        order = sorted(range(len(counts)), key=lambda i: -counts[i])
        for places in batches([counts[i] for i in order], self.potential.batch_sites):
            rows = [order[place] for place in places]
            starts: dict[int, _Start] = {}
            for row in rows:
                numbers, frac, lattice = (part.detach().cpu().numpy() for part in crystals.sites(row))
                frac, lattice = frac.astype(np.float64), lattice.astype(np.float64)
                fault = fault_of(frac, lattice)
                if fault is not None:
                    yield row, Relaxed(*fault, numbers, frac, lattice)
                    continue
                if rattle_seed is not None:
                    frac, lattice = rattled(frac, lattice, (rattle_seed, row if indices is None else indices[row]))
                starts[row] = _Start(numbers, frac, lattice, self.protocol.max_seconds)
            found = dict(zip(starts, self._relaxed(list(starts.values())), strict=True))
            yield from self._symmetrized(found) if self.protocol.symmetrize else found.items()

    def _symmetrized(self, found: dict[int, Relaxed]) -> Iterator[tuple[int, Relaxed]]:
        """Outcomes after relaxations from symmetric starts, the widest tolerance of all crystals together."""
        searches = {row: symmetric_starts(one) for row, one in found.items() if one.status == Status.OK}
        while searches:
            starts: dict[int, _Start] = {}
            for row, search in list(searches.items()):
                start = next(search, None)
                if start is None:
                    del searches[row]
                else:
                    left = max(self.protocol.max_seconds - found[row].seconds, 0.0)
                    starts[row] = _Start(found[row].numbers, *start, left)
            for row, again in zip(starts, self._relaxed(list(starts.values())), strict=True):
                taken, found[row] = lower_of(found[row], again)
                if taken:
                    del searches[row]
        yield from found.items()

    def _relaxed(self, starts: Sequence[_Start]) -> list[Relaxed]:
        """Outcomes in order; where the model fails on all together, each half is tried, down to those at fault."""
        if not starts:
            return []
        begun = time.process_time()
        try:
            with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # TorchSim warns of every batch that reaches its last step
                return _optimized(self.potential.model, starts, self.protocol)
        except Exception as fault:  # noqa: BLE001 - whatever it is, the other crystals go on
            if len(starts) > 1:
                half = len(starts) // 2
                return [*self._relaxed(starts[:half]), *self._relaxed(starts[half:])]
            reason = str(fault) if isinstance(fault, UserError) else in_words(fault)
            one, elapsed = starts[0], time.process_time() - begun
            return [Relaxed(Status.ERROR, reason, one.numbers, one.frac, one.lattice, seconds=elapsed)]


class _Finite(ModelInterface):
    """A model whose crystals without finite numbers stand still: their forces and stresses are 0, their energy is NaN.

    TorchSim would end the whole batch for one of them.
    """

    def __init__(self, model: ModelInterface) -> None:
        super().__init__()
        self.model = model
        self._device, self._dtype = model.device, model.dtype
        self._compute_forces = self._compute_stress = True

    def forward(self, state: ts.SimState, **_: object) -> dict[str, Tensor]:
        """Energies (B,) in eV, forces (n, 3) in eV/Å and stresses (B, 3, 3) in eV/Å³."""
        found = self.model(state)
        energy, forces, stress = (found[name].detach() for name in ("energy", "forces", "stress"))
        sound = energy.isfinite() & stress.isfinite().all((1, 2))
        bad_sites = ~forces.isfinite().all(1)
        sound &= torch.zeros_like(energy).index_add_(0, state.system_idx, bad_sites.to(energy.dtype)) == 0
        return {
            "energy": torch.where(sound, energy, torch.nan),
            "forces": torch.where(sound[state.system_idx, None], forces, 0.0),
            "stress": torch.where(sound[:, None, None], stress, 0.0),
        }


def _optimized(model: ModelInterface, starts: Sequence[_Start], protocol: RelaxProtocol) -> list[Relaxed]:
    """Outcomes of crystals that are moved together until each of them meets the protocol's end."""
    guarded = _Finite(model)
    crystals = Crystals.from_lists(
        [torch.from_numpy(one.numbers) for one in starts],
        [torch.from_numpy(one.frac) for one in starts],
        [torch.from_numpy(one.lattice) for one in starts],
    )
    shares = crystals.n_atoms.numpy().astype(np.float64)
    limits = np.array([one.seconds for one in starts])
    seconds, steps = np.zeros(len(starts)), np.ones(len(starts), np.int64)
    clock = time.process_time()

    def spend(rows: Sequence[int]) -> None:
        nonlocal clock
        now = time.process_time()
        seconds[rows] += (now - clock) * shares[rows] / shares[rows].sum()
        clock = now

    begin, _ = ts.frechet_cell_fire(guarded)
    state = begin(state_of(crystals, guarded))
    everything = list(range(len(starts)))
    spend(everything)
    initial = (state.energy.double().cpu() / crystals.n_atoms).numpy()
    moving = np.flatnonzero(~(_ended(state, protocol) | (steps >= protocol.max_steps) | (seconds > limits))).tolist()
    final: list[ts.SimState] = state.split()
    if moving:
        batcher = ts.InFlightAutoBatcher(guarded, memory_scales_with="n_atoms", max_memory_scaler=state.n_atoms + 1)

        def ended(now: ts.SimState, _: Tensor | None) -> Tensor:
            rows = [moving[k] for k in batcher.current_idx]
            spend(rows)
            steps[rows] += 1
            return torch.from_numpy(_ended(now, protocol) | (seconds[rows] > limits[rows])).to(now.device)

        moved = ts.optimize(
            state[moving],
            guarded,
            optimizer=ts.frechet_cell_fire,
            convergence_fn=ended,
            autobatcher=batcher,
            max_steps=protocol.max_steps - 1,
            steps_between_swaps=1,  # every crystal leaves at its own last step
        )
        for row, one in zip(moving, moved.split(), strict=True):
            final[row] = one
    return [
        _outcome(start, one, protocol, float(first), int(count), float(spent))
        for start, one, first, count, spent in zip(starts, final, initial, steps, seconds, strict=True)
    ]


def _largest_forces(state: ts.SimState) -> Tensor:
    """Largest force in eV/Å of each crystal, over atoms and the rows of the cell's unknowns, shape (B,)."""
    atoms = torch.linalg.vector_norm(state.forces, dim=1)
    by_atoms = torch.zeros_like(state.energy).index_reduce_(0, state.system_idx, atoms, "amax")
    return torch.maximum(by_atoms, torch.linalg.vector_norm(state.cell_forces, dim=2).amax(1))


def _ended(state: ts.SimState, protocol: RelaxProtocol) -> NDArray[np.bool_]:
    """Whether crystals have converged, lost their energy or left the bounds of volume, shape (B,)."""
    volume = torch.linalg.det(state.cell).abs() / state.n_atoms_per_system
    within = (volume >= MIN_VOLUME_PER_ATOM) & (volume <= MAX_VOLUME_PER_ATOM) & state.energy.isfinite()
    return ((_largest_forces(state) < protocol.fmax) | ~within).cpu().numpy()


def _outcome(
    start: _Start, state: ts.SimState, protocol: RelaxProtocol, initial: float, steps: int, seconds: float
) -> Relaxed:
    """The outcome of one crystal from its last state."""
    n = len(start.numbers)
    hand = -1.0 if np.linalg.det(start.lattice) < 0 else 1.0
    lattice = hand * state.row_vector_cell[0].double().cpu().numpy()
    frac = np.linalg.solve(lattice.T, state.positions.double().cpu().numpy().T).T % 1.0 % 1.0
    energy, largest = float(state.energy[0]) / n, float(_largest_forces(state)[0])
    found = Relaxed(Status.OK, "", start.numbers, frac, lattice, energy, initial, steps, seconds)
    volume = abs(np.linalg.det(lattice)) / n
    if not np.isfinite(energy):
        return replace(
            found,
            status=Status.NOT_FINITE,
            reason="energy or forces are not finite",
            frac=start.frac,
            lattice=start.lattice,
            energy_per_atom=float("nan"),
        )
    if not MIN_VOLUME_PER_ATOM <= volume <= MAX_VOLUME_PER_ATOM:
        return replace(found, status=Status.EXPLODED, reason=f"{volume:.1f} Å³ an atom")
    if largest < protocol.fmax:
        if has_loose_atom(frac, lattice):
            reason = f"an atom has no neighbour within {CONTACT:.0f} Å"
            return replace(found, status=Status.EXPLODED, reason=reason)
        return found
    status = Status.UNCONVERGED if steps >= protocol.max_steps else Status.TIME_LIMIT
    return replace(found, status=status, reason=f"{largest:.3f} eV/Å after {steps} steps")
