"""CHGNet with its published weights, evaluated in batches.

Deng et al., Nature Machine Intelligence 5, 1031 (2023), version 0.3.0. The numbers are those of the
``chgnet`` package; the route to them is shorter: derivatives are taken with respect to bond vectors
only, and forces and stresses are sums over bonds; the first linear layer of each gated unit is applied
to atoms, bonds and angles before they are gathered; a bond and its mirror image share what depends on
the bond alone; and the derivative is written out (`chgnet_layers`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.periodic import bonds_within
from nucleate.errors import UserError
from nucleate.potentials.chgnet_layers import (
    AngleUnit,
    AtomConvolution,
    Readout,
    angle_index,
    bessel,
    bond_index,
    fourier,
    scatter,
)
from nucleate.potentials.potential import Evaluation, TooManyBondsError

CUTOFF, ANGLE_CUTOFF = 6.0, 3.0
"""Cutoffs in Å of the bonds and of those that form angles."""
BATCH_ATOMS = 64
"""Atoms evaluated at once; more gain nothing on a processor and leave its caches."""
COSINE_SCALE = 1 - 1e-6
"""Keeps the derivative of the angle finite for straight lines."""
MAX_BONDS, MAX_ANGLES = 400_000, 2_000_000
"""More than this in one crystal mean that its cell, or some of its sites, have collapsed."""
WEIGHTS = "pretrained/0.3.0/chgnet_0.3.0_e29f68s314m37.pth.tar"


class CHGNetPotential:
    """CHGNet 0.3.0 as a potential; energies are on the Materials Project's corrected scale.

    Arguments:
        device: Where to compute.
        batch_atoms: Most atoms evaluated at once.

    Raises:
        UserError: The ``chgnet`` package, which brings the weights, is missing.
    """

    outside_seconds = 0.0

    def __init__(self, device: torch.device | str = "cpu", batch_atoms: int = BATCH_ATOMS) -> None:
        self.device, self.batch_atoms = torch.device(device), batch_atoms
        state = {k: v.to(self.device) for k, v in _read_weights().items()}
        self.reference = state["composition_model.fc.weight"].view(-1).double()
        self.embedding = state["atom_embedding.embedding.weight"]
        self.bond_frequencies = state["bond_basis_expansion.rbf_expansion_ag.frequencies"]
        self.short_frequencies = state["bond_basis_expansion.rbf_expansion_bg.frequencies"]
        self.angle_frequencies = state["angle_basis_expansion.fourier_expansion.frequencies"]
        self.bond_embedding = torch.cat([state["bond_embedding.weight"], state["bond_weights_ag.weight"]])
        self.short_embedding = state["bond_weights_bg.weight"]
        self.angle_embedding = state["angle_embedding.weight"]
        self.atom_layers = [AtomConvolution(state, i) for i in range(4)]
        self.bond_layers = [AngleUnit(state, f"bond_conv_layers.{i}") for i in range(3)]
        self.bond_out = [state[f"bond_conv_layers.{i}.mlp_out.layers.1.weight"].mT.contiguous() for i in range(3)]
        self.angle_layers = [AngleUnit(state, f"angle_layers.{i}") for i in range(2)]  # the third is read by nothing
        self.site_wise = state["site_wise.weight"].view(-1), state["site_wise.bias"]
        self.readout = Readout(state)

    def evaluate(self, crystals: Crystals) -> Evaluation:
        """See `Potential.evaluate`; the results are float64, computed through a float32 network.

        Raises:
            UserError: An element beyond plutonium.
            TooManyBondsError: A crystal is far too dense.
        """
        b, n_max = crystals.numbers.shape
        if b and int(crystals.numbers.max()) > len(self.embedding):
            raise UserError("CHGNet", f"atomic number {int(crystals.numbers.max())}", "elements up to 94")
        result = Evaluation(
            torch.zeros(b, dtype=torch.float64),
            torch.zeros(b, n_max, 3, dtype=torch.float64),
            torch.zeros(b, 3, 3, dtype=torch.float64),
            torch.zeros(b, n_max, dtype=torch.float64),
        )
        with torch.inference_mode():
            start = 0
            while start < b:
                total = torch.cumsum(crystals.n_atoms[start:], 0)
                stop = start + max(1, int((total <= self.batch_atoms).sum()))
                self._evaluate_into(crystals[start:stop], result, slice(start, stop))
                start = stop
        return result

    def _evaluate_into(self, crystals: Crystals, result: Evaluation, rows: slice) -> None:
        graph = build_bond_graph(crystals, CUTOFF, ANGLE_CUTOFF).to(self.device)
        energies, gradient, magmoms = self._network(graph)
        n, size = len(graph.numbers), len(crystals)
        forces = gradient.new_zeros(n, 3).index_add_(0, graph.first, gradient).index_add_(0, graph.second, -gradient)
        bond_virials = graph.vectors[:, :, None] * gradient[:, None, :]
        virial = gradient.new_zeros(size, 3, 3).index_add_(0, graph.owner[graph.first], bond_virials).cpu()
        energies = energies.double() + self.reference[graph.numbers - 1]
        mask, n_max = crystals.mask.cpu(), crystals.numbers.shape[1]
        result.energy[rows] = energies.new_zeros(size).index_add_(0, graph.owner, energies).cpu()
        result.forces[rows, :n_max][mask] = forces.cpu()
        result.stress[rows] = 0.5 * (virial + virial.mT) / crystals.volume.cpu()[:, None, None]
        result.magmoms[rows, :n_max][mask] = magmoms.double().cpu()

    def _network(self, graph: BondGraph) -> tuple[Tensor, Tensor, Tensor]:
        """Site energies in eV (n,), the gradient of their sum in the bond vectors (U, 3) in eV/Å, moments in µB (n,).

        The energies lack the element references.
        """
        n, short = len(graph.numbers), graph.n_short
        left, right = graph.angle_left, graph.angle_right
        lengths = graph.vectors.norm(dim=1)
        units = graph.vectors / lengths[:, None]
        left_units, right_units = units.index_select(0, left), units.index_select(0, right)
        cosines = (left_units * right_units).sum(1) * (graph.angle_sign * COSINE_SCALE)
        basis, basis_slope = bessel(lengths, self.bond_frequencies, CUTOFF)
        short_basis, short_slope = bessel(lengths[:short], self.short_frequencies, ANGLE_CUTOFF)
        angle_basis, angle_slope = fourier(torch.acos(cosines), self.angle_frequencies)
        bonds, weights = (part.contiguous() for part in (basis @ self.bond_embedding.mT).split(64, dim=1))
        short_weights = short_basis @ self.short_embedding.mT
        angles = angle_basis @ self.angle_embedding.mT
        left_weights, right_weights = short_weights.index_select(0, left), short_weights.index_select(0, right)
        leg_weights = left_weights * right_weights

        by_end = bond_index(graph.first, graph.second, n)
        by_leg = angle_index(graph.angle_centre, left, right, n, short)
        atoms = self.embedding[graph.numbers - 1]
        magmoms = atoms.new_zeros(n)
        kept_atom, kept_bond, kept_angle = [], [], []
        for i, layer in enumerate(self.atom_layers):
            atoms, kept = layer.forward(atoms, bonds, weights, by_end)
            kept_atom.append(kept)
            if i < 3:
                update, gated = self.bond_layers[i].forward(atoms, bonds[:short], angles, by_leg)
                kept_bond.append((update, gated))
                bonds = bonds.clone()
                bonds[:short].addmm_(scatter(short, (left, update * leg_weights)), self.bond_out[i])
            if i < 2:
                change, gated = self.angle_layers[i].forward(atoms, bonds[:short], angles, by_leg)
                kept_angle.append(gated)
                angles = angles + change
            if i == 2:
                magmoms = (atoms @ self.site_wise[0] + self.site_wise[1]).abs()
        energies, by_atoms = self.readout(atoms)

        by_bonds, by_weights = torch.zeros_like(bonds), torch.zeros_like(bonds)
        by_angles, by_leg_weights = torch.zeros_like(angles), torch.zeros_like(angles)
        for i in (3, 2, 1, 0):
            if i < 2:
                self.angle_layers[i].backward(kept_angle[i], by_angles, by_atoms, by_bonds[:short], by_angles, by_leg)
            if i < 3:
                update, gated = kept_bond[i]
                by_update = (by_bonds[:short] @ self.bond_out[i].mT).index_select(0, left)
                by_leg_weights.addcmul_(by_update, update)
                self.bond_layers[i].backward(
                    gated, by_update.mul_(leg_weights), by_atoms, by_bonds[:short], by_angles, by_leg
                )
            by_atoms = self.atom_layers[i].backward(kept_atom[i], by_atoms, by_bonds, by_weights, by_end, i > 0)

        by_basis = by_bonds @ self.bond_embedding[:64] + by_weights @ self.bond_embedding[64:]
        by_short = scatter(short, (left, by_leg_weights * right_weights), (right, by_leg_weights * left_weights))
        by_length = (by_basis * basis_slope).sum(1).double()
        by_length[:short] += ((by_short @ self.short_embedding) * short_slope).sum(1)
        by_angle = ((by_angles @ self.angle_embedding) * angle_slope).sum(1).double()
        by_cosine = by_angle / -torch.sqrt(1 - cosines**2) * (graph.angle_sign * COSINE_SCALE)
        by_unit = torch.zeros_like(units)
        by_unit.index_add_(0, left, by_cosine[:, None] * right_units)
        by_unit.index_add_(0, right, by_cosine[:, None] * left_units)
        across = (by_unit - units * (by_unit * units).sum(1, keepdim=True)) / lengths[:, None]
        return energies, across + units * by_length[:, None], magmoms


def _read_weights() -> dict[str, Tensor]:
    """Parameters of version 0.3.0 from the installed package, read without running any pickled code."""
    found = find_spec("chgnet")
    if found is None or found.origin is None:
        raise UserError("potential chgnet", "no chgnet package", "pip install chgnet, which brings the weights")
    checkpoint = torch.load(Path(found.origin).parent / WEIGHTS, map_location="cpu", weights_only=True)
    state: dict[str, Tensor] = checkpoint["model"]["state_dict"]
    return state


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
