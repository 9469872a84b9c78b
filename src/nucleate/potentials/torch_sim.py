"""Models of TorchSim as potentials, and our own potentials as models of TorchSim.

TorchSim (https://github.com/TorchSim/torch-sim) evaluates and moves many crystals at once, on a graphics card too. Its
states list the sites of all crystals one after the other and hold cells by columns; units and signs are ours.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from nucleate.crystal.crystals import Crystals
from nucleate.errors import UserError
from nucleate.potentials.calculator_server import Keywords, in_words
from nucleate.potentials.chgnet import BATCH_ATOMS, CHGNetPotential
from nucleate.potentials.potential import CalculatorFaultError, Evaluation, Potential, TooManyBondsError

try:
    import torch_sim as ts
    from torch_sim.models.interface import ModelInterface
except ModuleNotFoundError as missing:
    install = "it installed: pip install 'nucleate[torchsim]'"
    raise UserError("potential 'torchsim'", f"no module {missing.name!r}", install) from None

WHERE = "potential 'torchsim'"
CARD_ATOMS = 4096
"""Atoms that CHGNet evaluates at once on a graphics card."""


class PotentialModel(ModelInterface):
    """One of our potentials as a model of TorchSim.

    Arguments:
        potential: What gives energies, forces, stresses and moments.
        device: Where the states lie.
    """

    def __init__(self, potential: Potential, device: torch.device | str = "cpu") -> None:
        super().__init__()
        self.potential = potential
        self._device, self._dtype = torch.device(device), torch.float64
        self._compute_forces = self._compute_stress = True

    def forward(self, state: ts.SimState, **_: object) -> dict[str, Tensor]:
        """Energies (B,) in eV, forces (n, 3) in eV/Å, stresses (B, 3, 3) in eV/Å³ and moments (n,) in µB.

        All of them are NaN for a crystal that is far too dense or that the potential has no result for.

        Raises:
            UserError: An element is unknown to the potential.
        """
        crystals = crystals_of(state)
        found, mask = self._evaluated(crystals), crystals.mask
        values = {"energy": found.energy, "forces": found.forces[mask], "stress": found.stress}
        values["magmoms"] = found.magmoms[mask]
        return {name: value.to(self.device) for name, value in values.items()}

    def _evaluated(self, crystals: Crystals) -> Evaluation:
        try:
            return self.potential.evaluate(crystals)
        except (TooManyBondsError, CalculatorFaultError):
            b, n = crystals.numbers.shape
            shapes = (b,), (b, n, 3), (b, 3, 3), (b, n)
            found = Evaluation(*(torch.full(shape, torch.nan, dtype=torch.float64) for shape in shapes))
            if b > 1:
                for i, count in enumerate(crystals.n_atoms.tolist()):
                    alone = self._evaluated(crystals[i : i + 1])
                    found.energy[i], found.stress[i] = alone.energy[0], alone.stress[0]
                    found.forces[i, :count], found.magmoms[i, :count] = alone.forces[0], alone.magmoms[0]
            return found


class TorchSimPotential:
    """A model of TorchSim as a potential.

    Arguments:
        model: ``chgnet``, or ``module:CLASS`` of a model of TorchSim, or of a function that makes one.
        batch_sites: Most sites of the crystals that are kept in memory together.
        keywords: What the model is made with; ``device`` and ``dtype`` may be texts such as ``cuda`` and ``float64``.

    Raises:
        UserError: There is no such model, or it cannot be made so.
    """

    outside_seconds = 0.0

    def __init__(self, model: str = "chgnet", batch_sites: int = 1024, **keywords: Any) -> None:
        self.model = _chgnet(keywords) if model == "chgnet" else _imported(model, keywords)
        if batch_sites < 1:
            raise UserError(WHERE, f"batch_sites={batch_sites}", "a positive number of sites")
        self.batch_sites = batch_sites

    def evaluate(self, crystals: Crystals) -> Evaluation:
        """See `Potential.evaluate`.

        Raises:
            UserError: An element is unknown to the model of ours.
            CalculatorFaultError: Another model raised.
        """
        b, n = crystals.numbers.shape
        sizes = {"energy": (b,), "forces": (b, n, 3), "stress": (b, 3, 3), "magmoms": (b, n)}
        total = {name: torch.zeros(size, dtype=torch.float64) for name, size in sizes.items()}
        for rows in batches(crystals.n_atoms.tolist(), self.batch_sites):
            some = crystals[rows]
            try:
                found = self.model(state_of(some, self.model))
            except UserError:
                raise
            except Exception as fault:
                raise CalculatorFaultError(in_words(fault)) from fault
            values = {name: found[name].detach().double().cpu() for name in sizes if name in found}
            values.setdefault("magmoms", torch.full((len(values["forces"]),), torch.nan, dtype=torch.float64))
            total["energy"][rows], total["stress"][rows] = values["energy"], values["stress"]
            for name in ("forces", "magmoms"):
                padded = total[name].new_zeros(*some.numbers.shape, *values[name].shape[1:])
                padded[some.mask] = values[name]
                total[name][rows, : padded.shape[1]] = padded
        return Evaluation(**total)


def state_of(crystals: Crystals, model: ModelInterface) -> ts.SimState:
    """B crystals as a state on the device of a model and in its precision.

    Vectors of left-handed cells are inverted, since TorchSim takes the sign of a volume; positions stay where they are.
    """
    hands = torch.where(torch.linalg.det(crystals.lattice) < 0, -1.0, 1.0)[:, None, None]
    positions = (crystals.frac @ crystals.lattice)[crystals.mask]
    return ts.SimState(
        positions=positions.to(model.device, model.dtype),
        masses=torch.ones(len(positions), device=model.device, dtype=model.dtype),
        cell=(hands * crystals.lattice).mT.to(model.device, model.dtype).contiguous(),
        pbc=True,
        atomic_numbers=crystals.numbers[crystals.mask].to(model.device),
        system_idx=torch.repeat_interleave(crystals.n_atoms).to(model.device),
    )


def crystals_of(state: ts.SimState) -> Crystals:
    """The crystals of a state; coordinates are wrapped into the cells, and float64."""
    counts = torch.bincount(state.system_idx).tolist()
    lattice = state.row_vector_cell.detach().double().cpu()
    numbers, positions = (part.detach().cpu().split(counts) for part in (state.atomic_numbers, state.positions))
    frac = [torch.linalg.solve(cell.mT, one.double().mT).mT for cell, one in zip(lattice, positions, strict=True)]
    return Crystals.from_lists(numbers, frac, lattice)


def batches(n_atoms: list[int], most: int) -> list[list[int]]:
    """Rows of crystals in order, in lists whose sites add up to at most ``most``; one row where it has more."""
    rows: list[list[int]] = []
    sites = most
    for row, n in enumerate(n_atoms):
        if sites + n > most:
            rows.append([])
            sites = 0
        rows[-1].append(row)
        sites += n
    return rows


def _chgnet(keywords: Keywords) -> PotentialModel:
    """CHGNet on the device named, else on the graphics card where there is one."""
    unknown = [name for name in keywords if name != "device"]
    if unknown:
        raise UserError(WHERE, f"keyword argument {unknown[0]!r} for chgnet", "device or batch_sites")
    device = torch.device(str(keywords.get("device", "cuda" if torch.cuda.is_available() else "cpu")))
    return PotentialModel(CHGNetPotential(device, BATCH_ATOMS if device.type == "cpu" else CARD_ATOMS), device)


def _imported(name: str, keywords: Keywords) -> ModelInterface:
    module, _, attribute = name.partition(":")
    try:
        make: Callable[..., object] = getattr(import_module(module), attribute)
        kinds = {"device": torch.device, "dtype": lambda text: getattr(torch, text)}
        typed = {key: kinds[key](value) if key in kinds else value for key, value in keywords.items()}
        made = make(**typed)
    except Exception as fault:
        expected = "chgnet, or module:CLASS of a model of TorchSim and what it is made with"
        raise UserError(WHERE, f"model {name!r}: {in_words(fault)}", expected) from fault
    if not isinstance(made, ModelInterface) or not made.compute_stress:
        raise UserError(WHERE, f"{name}, which is {type(made).__name__}", "a model of TorchSim that computes stresses")
    return made
