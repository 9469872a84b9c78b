"""The layers of CHGNet and the functions that describe bonds and angles, each with its derivative written out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

ENVELOPE_POWER = 8


def bessel(lengths: Tensor, frequencies: Tensor, cutoff: float) -> tuple[Tensor, Tensor]:
    """Radial Bessel functions times a polynomial envelope, and their derivatives in 1/Å; (U, 31), float32.

    Gasteiger et al., Directional message passing for molecular graphs (ICLR 2020), equations 7 and 8.

    Arguments:
        lengths: In Å, shape (U,), float64.
        frequencies: Shape (31,).
        cutoff: In Å; both are 0 beyond.
    """
    p = ENVELOPE_POWER
    x = (lengths / cutoff).clamp(max=1.0)
    power = x ** (p - 1)
    envelope = 1 + power * x * (-(p + 1) * (p + 2) / 2 + x * (p * (p + 2) - p * (p + 1) / 2 * x))
    slope = power * (-p * (p + 1) * (p + 2) / 2) * (1 - x) ** 2 / cutoff
    scale = math.sqrt(2 / cutoff) / lengths
    outer, outer_slope = scale * envelope, scale * (slope - envelope / lengths)
    phases = x.to(frequencies.dtype)[:, None] * frequencies
    sines, outer = torch.sin(phases), outer.to(frequencies.dtype)[:, None]
    slopes = (
        torch.cos(phases)
        .mul_(outer * (frequencies / cutoff))
        .addcmul_(sines, outer_slope.to(frequencies.dtype)[:, None])
    )
    return sines * outer, slopes


def fourier(angles: Tensor, frequencies: Tensor) -> tuple[Tensor, Tensor]:
    """1/sqrt(2), sines and cosines over sqrt(pi), and their derivatives; (A, 31), float32.

    Arguments:
        angles: In radians, shape (A,), float64.
        frequencies: Shape (15,).
    """
    phases = angles.to(frequencies.dtype)[:, None] * frequencies
    sines, cosines = torch.sin(phases), torch.cos(phases)
    constant = torch.full_like(phases[:, :1], math.sqrt(0.5))
    values = torch.cat([constant, sines, cosines], dim=1)
    slopes = torch.cat([torch.zeros_like(constant), cosines * frequencies, sines * -frequencies], dim=1)
    return values / math.sqrt(math.pi), slopes / math.sqrt(math.pi)


WIDTH = 64
EPSILON = 1e-5


class Gated(NamedTuple):
    """Values of a gated unit that its derivative needs; tensors of shape (2, M, 64) or (M, 64)."""

    total: Tensor
    core_in: Tensor
    core_statistics: tuple[Tensor, Tensor]
    gate_in: Tensor
    gate_statistics: tuple[Tensor, Tensor]
    core: Tensor
    core_on: Tensor
    gate_on: Tensor


class GatedUnit:
    """silu(norm(core)) * sigmoid(norm(gate)) of a concatenated input.

    The first layer is applied to each part of the input before the parts are gathered and added;
    ``planes`` holds its weights as one (2, 64, 64) block for each part.

    Arguments:
        state: Parameters of the model by name.
        prefix: Name of the unit.
        parts: Number of parts of the input, in the order of concatenation.
    """

    def __init__(self, state: dict[str, Tensor], prefix: str, parts: int) -> None:
        deep = f"{prefix}.mlp_core.layers.3.weight" in state

        def both(name: str) -> Tensor:
            return torch.stack([state[f"{prefix}.mlp_{half}.layers.{name}"] for half in ("core", "gate")])

        weight = both("0.weight" if deep else "1.weight")
        self.planes = [weight[:, :, k * WIDTH : (k + 1) * WIDTH].mT.contiguous() for k in range(parts)]
        self.bias = both("0.bias" if deep else "1.bias")[:, None]
        self.second = (both("3.weight").mT.contiguous(), both("3.bias")[:, None]) if deep else None
        self.norms = [(state[f"{prefix}.{norm}.weight"], state[f"{prefix}.{norm}.bias"]) for norm in ("bn1", "bn2")]

    def forward(self, total: Tensor) -> tuple[Tensor, Gated]:
        """Output (M, 64) of the summed projections (2, M, 64), the bias included."""
        hidden = total
        if self.second is not None:
            weight, bias = self.second
            hidden = torch.baddbmm(bias, F.silu(total), weight)
        core, *core_statistics = torch.native_layer_norm(hidden[0], (WIDTH,), *self.norms[0], EPSILON)
        gate, *gate_statistics = torch.native_layer_norm(hidden[1], (WIDTH,), *self.norms[1], EPSILON)
        core_on, gate_on = F.silu(core), gate.sigmoid_()
        kept = Gated(
            total,
            hidden[0],
            (core_statistics[0], core_statistics[1]),
            hidden[1],
            (gate_statistics[0], gate_statistics[1]),
            core,
            core_on,
            gate_on,
        )
        return core_on * gate_on, kept

    def backward(self, kept: Gated, gradient: Tensor) -> Tensor:
        """Gradient (2, M, 64) in the summed projections from that in the output (M, 64)."""
        by_core = torch.ops.aten.silu_backward(gradient * kept.gate_on, kept.core)
        by_gate = torch.ops.aten.sigmoid_backward(gradient * kept.core_on, kept.gate_on)
        by_hidden = torch.empty_like(kept.total)
        for plane, by_norm, x, (mean, rstd), (weight, bias) in (
            (0, by_core, kept.core_in, kept.core_statistics, self.norms[0]),
            (1, by_gate, kept.gate_in, kept.gate_statistics, self.norms[1]),
        ):
            by_hidden[plane] = torch.ops.aten.native_layer_norm_backward(
                by_norm, x, (WIDTH,), mean, rstd, weight, bias, (True, False, False)
            )[0]
        if self.second is None:
            return by_hidden
        by_active = torch.bmm(by_hidden, self.second[0].mT)
        by_total: Tensor = torch.ops.aten.silu_backward(by_active, kept.total)
        return by_total


def stack_planes(*planes: Tensor) -> Tensor:
    """Projections that share their input, as one block of shape (2k, 64, 64)."""
    return torch.cat(planes)


def project(features: Tensor, block: Tensor) -> Tensor:
    """Features (n, 64) through a block (k, 64, 64): rows of all k planes one after the other, shape (k n, 64)."""
    return torch.matmul(features, block).view(-1, WIDTH)


def unproject(gradient: Tensor, block: Tensor) -> Tensor:
    """Gradient (n, 64) in the features from that in the projected rows (k n, 64)."""
    return torch.bmm(gradient.view(len(block), -1, WIDTH), block.mT).sum(0)


def doubled(index: Tensor, rows: int, plane: int = 0) -> Tensor:
    """An index (M,) into rows as one (2M,) into two planes of them, starting at plane ``plane``."""
    return torch.cat([index + plane * rows, index + (plane + 1) * rows])


def scatter(rows: int, *parts: tuple[Tensor, Tensor]) -> Tensor:
    """Sum of rows (M, 64) by index, shape (rows, 64), for each (index, rows) given."""
    total = parts[0][1].new_zeros(rows, WIDTH)
    for index, values in parts:
        total.index_add_(0, index, values.view(-1, WIDTH))
    return total


class AtomConvolution:
    """Messages along bonds in both directions, added to the atoms."""

    def __init__(self, state: dict[str, Tensor], layer: int) -> None:
        self.unit = GatedUnit(state, f"atom_conv_layers.{layer}.twoBody_atom", 3)
        centre, self.bond_block, neighbour = self.unit.planes
        self.atom_block = stack_planes(centre, neighbour)
        self.out = state[f"atom_conv_layers.{layer}.mlp_out.layers.1.weight"].mT.contiguous()

    def forward(self, atoms: Tensor, bonds: Tensor, weights: Tensor, index: BondIndex) -> tuple[Tensor, AtomKept]:
        """New atom features; bonds and weights have shape (U, 64)."""
        rows = project(atoms, self.atom_block)
        total = rows.index_select(0, index.heads).add_(rows.index_select(0, index.tails))
        total.view(2, 2, -1, WIDTH).add_(
            torch.baddbmm(self.unit.bias, bonds.expand(2, -1, -1), self.bond_block)[:, None]
        )
        messages, kept = self.unit.forward(total.view(2, -1, WIDTH))
        weighted = messages.view(2, -1, WIDTH) * weights
        summed = scatter(len(atoms), (index.ends, weighted))
        return torch.addmm(atoms, summed, self.out), AtomKept(kept, messages, weights)

    def backward(
        self, kept: AtomKept, gradient: Tensor, by_bonds: Tensor, by_weights: Tensor, index: BondIndex, to_atoms: bool
    ) -> Tensor:
        """Gradient in n atoms, shape (n, 64); those in bonds and weights (U, 64) are added to those of the call."""
        by_weighted = (gradient @ self.out.mT).index_select(0, index.ends).view(2, -1, WIDTH)
        by_weights += (by_weighted * kept.messages.view(2, -1, WIDTH)).sum(0)
        by_total = self.unit.backward(kept.gated, by_weighted.mul_(kept.weights).view(-1, WIDTH))
        by_bond = by_total.view(2, 2, -1, WIDTH).sum(1)
        by_bonds.addmm_(by_bond[0], self.bond_block[0].mT).addmm_(by_bond[1], self.bond_block[1].mT)
        if not to_atoms:
            return gradient
        rows = scatter(4 * len(gradient), (index.heads, by_total), (index.tails, by_total))
        return gradient + unproject(rows, self.atom_block)


class BondIndex(NamedTuple):
    """Rows that the two directions of U bonds read and write: ends (2U,), heads and tails (4U,); see `bond_index`."""

    ends: Tensor
    heads: Tensor
    tails: Tensor


class AtomKept(NamedTuple):
    """Values of an atom convolution that its derivative needs: messages (2U, 64) and weights (U, 64) of U bonds."""

    gated: Gated
    messages: Tensor
    weights: Tensor


def bond_index(first: Tensor, second: Tensor, n: int) -> BondIndex:
    """Both directions of bonds between n atoms: receiving atoms (2U,), and projected rows (4U,) of both ends."""
    ends, others = torch.cat([first, second]), torch.cat([second, first])
    return BondIndex(ends, doubled(ends, n), doubled(others, n, 2))


class AngleIndex(NamedTuple):
    """Rows that A angles read and write: left (A,), lefts, rights and centres (2A,); see `angle_index`."""

    left: Tensor
    lefts: Tensor
    rights: Tensor
    centres: Tensor


def angle_index(centre: Tensor, left: Tensor, right: Tensor, n: int, bonds: int) -> AngleIndex:
    """Left legs (A,), and projected rows (2A,) of left legs, right legs and apices."""
    return AngleIndex(left, doubled(left, bonds), doubled(right, bonds, 2), doubled(centre, n))


class AngleUnit:
    """A gated unit over (left bond, right bond, angle, apex)."""

    def __init__(self, state: dict[str, Tensor], prefix: str) -> None:
        self.unit = GatedUnit(state, f"{prefix}.twoBody_bond", 4)
        left, right, self.angle_block, self.atom_block = self.unit.planes
        self.bond_block = stack_planes(left, right)

    def forward(self, atoms: Tensor, bonds: Tensor, angles: Tensor, index: AngleIndex) -> tuple[Tensor, Gated]:
        """Output for each angle, shape (A, 64)."""
        by_bond = project(bonds, self.bond_block)
        total = by_bond.index_select(0, index.lefts).add_(by_bond.index_select(0, index.rights))
        by_atom = torch.baddbmm(self.unit.bias, atoms.expand(2, -1, -1), self.atom_block).view(-1, WIDTH)
        total.add_(by_atom.index_select(0, index.centres))
        return self.unit.forward(total.view(2, -1, WIDTH).baddbmm_(angles.expand(2, -1, -1), self.angle_block))

    def backward(
        self, kept: Gated, gradient: Tensor, by_atoms: Tensor, by_bonds: Tensor, by_angles: Tensor, index: AngleIndex
    ) -> None:
        """Add the gradients in atoms (n, 64), bonds (U, 64) and angles (A, 64) to ``by_atoms`` and its like."""
        by_total = self.unit.backward(kept, gradient)
        by_angles.addmm_(by_total[0], self.angle_block[0].mT).addmm_(by_total[1], self.angle_block[1].mT)
        rows = scatter(4 * len(by_bonds), (index.lefts, by_total), (index.rights, by_total))
        by_bonds += unproject(rows, self.bond_block)
        by_atoms += unproject(scatter(2 * len(by_atoms), (index.centres, by_total)), self.atom_block)


class Readout:
    """Site energies from atom features: a norm and a perceptron with three hidden layers."""

    def __init__(self, state: dict[str, Tensor], layers: Sequence[int] = (0, 2, 4, 7)) -> None:
        self.norm = state["readout_norm.weight"], state["readout_norm.bias"]
        self.layers = [(state[f"mlp.layers.{k}.weight"], state[f"mlp.layers.{k}.bias"]) for k in layers]

    def __call__(self, atoms: Tensor) -> tuple[Tensor, Tensor]:
        """Site energies (n,) in eV and the gradient (n, 64) of their sum in the atom features."""
        features, mean, rstd = torch.native_layer_norm(atoms, (WIDTH,), *self.norm, EPSILON)
        inputs = []
        for weight, bias in self.layers:
            inputs.append(features)
            features = F.linear(F.silu(features) if len(inputs) > 1 else features, weight, bias)
        gradient = torch.ones_like(features)
        for k in range(len(self.layers))[::-1]:
            gradient = gradient @ self.layers[k][0]
            if k:
                gradient = torch.ops.aten.silu_backward(gradient, inputs[k])
        by_atoms: Tensor = torch.ops.aten.native_layer_norm_backward(
            gradient, atoms, (WIDTH,), mean, rstd, *self.norm, (True, False, False)
        )[0]
        return features.view(-1), by_atoms
