"""CHGNet with its published weights, evaluated in batches with one backward pass.

Deng et al., Nature Machine Intelligence 5, 1031 (2023), version 0.3.0. The numbers are those of the
``chgnet`` package; the route to them is shorter. Three things save most of the time: the derivative is
taken with respect to bond vectors only, and forces and stresses are sums over bonds; the first linear
layer of each gated unit is applied to atoms, bonds and angles before they are gathered, not to the
gathered rows; and a bond and its mirror image share everything that depends on the bond alone.
"""

from __future__ import annotations

import math
from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from nucleate.crystal.crystals import Crystals
from nucleate.energies.bond_graph import BondGraph, build_bond_graph
from nucleate.energies.potential import Evaluation
from nucleate.errors import UserError

CUTOFF, ANGLE_CUTOFF = 6.0, 3.0
"""Cutoffs in Å of the bonds and of those that form angles."""
ENVELOPE_POWER = 8
BATCH_ATOMS = 160
"""Atoms evaluated at once; more gain nothing on a processor and cost memory."""
WEIGHTS = "pretrained/0.3.0/chgnet_0.3.0_e29f68s314m37.pth.tar"


class GatedUnit:
    """silu(norm(core)) * sigmoid(norm(gate)) of a concatenated input, with its first layer split by input part.

    Arguments:
        state: Parameters of the model by name.
        prefix: Name of the unit.
        parts: Width of each part of the input, in the order of concatenation.
    """

    def __init__(self, state: dict[str, Tensor], prefix: str, parts: list[int]) -> None:
        hidden = f"{prefix}.mlp_core.layers.3.weight" in state
        index = 0 if hidden else 1
        first = [f"{prefix}.mlp_{half}.layers.{index}" for half in ("core", "gate")]
        weight = torch.cat([state[f"{name}.weight"] for name in first])
        self.parts = [part.T.contiguous() for part in torch.split(weight, parts, dim=1)]
        self.bias = torch.cat([state[f"{name}.bias"] for name in first])
        self.second = [
            (state[f"{prefix}.mlp_{half}.layers.3.weight"].T.contiguous(), state[f"{prefix}.mlp_{half}.layers.3.bias"])
            for half in ("core", "gate")
            if hidden
        ]
        self.norms = [(state[f"{prefix}.{norm}.weight"], state[f"{prefix}.{norm}.bias"]) for norm in ("bn1", "bn2")]

    def project(self, part: int, features: Tensor) -> Tensor:
        """The share of one input part in the first layer, shape (..., 128)."""
        return torch.matmul(features, self.parts[part])

    def __call__(self, total: Tensor) -> Tensor:
        """The unit's output from the sum of all projected parts, shape (..., 64)."""
        halves = (total + self.bias).chunk(2, dim=-1)
        if self.second:
            halves = tuple(F.silu(half) @ w + b for half, (w, b) in zip(halves, self.second, strict=True))
        core, gate = (F.layer_norm(half, w.shape, w, b) for half, (w, b) in zip(halves, self.norms, strict=True))
        return F.silu(core) * torch.sigmoid(gate)


class CHGNetPotential:
    """CHGNet 0.3.0 as a potential; energies are on the Materials Project's corrected scale.

    Arguments:
        device: Where to compute.

    Raises:
        UserError: The ``chgnet`` package, which brings the weights, is missing.
    """

    name = "chgnet"

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        state = {k: v.to(self.device) for k, v in _read_weights().items()}
        self.reference = state["composition_model.fc.weight"].view(-1).double()
        self.embedding = state["atom_embedding.embedding.weight"]
        self.bond_frequencies = state["bond_basis_expansion.rbf_expansion_ag.frequencies"]
        self.short_frequencies = state["bond_basis_expansion.rbf_expansion_bg.frequencies"]
        self.angle_frequencies = state["angle_basis_expansion.fourier_expansion.frequencies"]
        self.bond_embedding = state["bond_embedding.weight"].T.contiguous()
        self.bond_weights = state["bond_weights_ag.weight"].T.contiguous()
        self.short_weights = state["bond_weights_bg.weight"].T.contiguous()
        self.angle_embedding = state["angle_embedding.weight"].T.contiguous()
        self.atom_units = [GatedUnit(state, f"atom_conv_layers.{i}.twoBody_atom", [64, 64, 64]) for i in range(4)]
        self.atom_out = [state[f"atom_conv_layers.{i}.mlp_out.layers.1.weight"].T.contiguous() for i in range(4)]
        self.bond_units = [GatedUnit(state, f"bond_conv_layers.{i}.twoBody_bond", [64] * 4) for i in range(3)]
        self.bond_out = [state[f"bond_conv_layers.{i}.mlp_out.layers.1.weight"].T.contiguous() for i in range(3)]
        self.angle_units = [GatedUnit(state, f"angle_layers.{i}.twoBody_bond", [64] * 4) for i in range(3)]
        self.site_wise = state["site_wise.weight"].T.contiguous(), state["site_wise.bias"]
        self.readout_norm = state["readout_norm.weight"], state["readout_norm.bias"]
        self.readout = [(state[f"mlp.layers.{i}.weight"], state[f"mlp.layers.{i}.bias"]) for i in (0, 2, 4, 7)]

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
        start = 0
        while start < b:
            total = torch.cumsum(crystals.n_atoms[start:], 0)
            stop = start + max(1, int((total <= BATCH_ATOMS).sum()))
            self._evaluate_into(crystals[start:stop], result, slice(start, stop))
            start = stop
        return result

    def _evaluate_into(self, crystals: Crystals, result: Evaluation, rows: slice) -> None:
        graph = build_bond_graph(crystals, CUTOFF, ANGLE_CUTOFF)
        vectors = graph.vectors.to(self.device).requires_grad_()
        site_energy, magmoms = self._network(graph, vectors)
        (gradient,) = torch.autograd.grad(site_energy.sum(), vectors)
        vectors = vectors.detach()
        n, size = len(graph.numbers), len(crystals)
        forces = gradient.new_zeros(n, 3).index_add_(0, graph.first, gradient).index_add_(0, graph.second, -gradient)
        bond_virials = vectors[:, :, None] * gradient[:, None, :]
        virial = gradient.new_zeros(size, 3, 3).index_add_(0, graph.owner[graph.first], bond_virials)
        energies = site_energy.detach().double() + self.reference[graph.numbers - 1]
        mask, n_max = crystals.mask, crystals.numbers.shape[1]
        result.energy[rows] = energies.new_zeros(size).index_add_(0, graph.owner, energies)
        result.forces[rows, :n_max][mask] = forces
        result.stress[rows] = 0.5 * (virial + virial.mT) / crystals.volume[:, None, None]
        result.magmoms[rows, :n_max][mask] = magmoms.detach().double()

    def _network(self, graph: BondGraph, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Energies of the sites in eV without the element references, and moments in µB; each of shape (n,)."""
        n, short = len(graph.numbers), graph.n_short
        first, second = graph.first, graph.second
        lengths = vectors.norm(dim=1)
        basis = _bessel(lengths, self.bond_frequencies, CUTOFF)
        atoms = self.embedding[graph.numbers - 1]
        bonds = basis @ self.bond_embedding
        weights = basis @ self.bond_weights
        short_weights = _bessel(lengths[:short], self.short_frequencies, ANGLE_CUTOFF) @ self.short_weights
        left, right = graph.angle_left, graph.angle_right
        units = vectors[:short] / lengths[:short, None]
        cosines = (units[left] * units[right]).sum(1) * graph.angle_sign
        angles = _fourier(torch.acos(cosines * (1 - 1e-6)), self.angle_frequencies) @ self.angle_embedding
        leg_weights = short_weights[left] * short_weights[right]
        magmoms = atoms.new_zeros(n)
        for i, unit in enumerate(self.atom_units):
            from_centre, from_bond, from_neighbour = (unit.project(k, x) for k, x in enumerate((atoms, bonds, atoms)))
            there = unit(from_centre[first] + from_bond + from_neighbour[second]) * weights
            back = unit(from_centre[second] + from_bond + from_neighbour[first]) * weights
            messages = atoms.new_zeros(n, 64).index_add(0, first, there).index_add(0, second, back)
            atoms = atoms + messages @ self.atom_out[i]
            if i == 3:
                break
            if len(left):
                shorts = bonds[:short]
                update = _on_angles(self.bond_units[i], graph, shorts, angles, atoms) * leg_weights
                gathered = shorts.new_zeros(short, 64).index_add(0, left, update)
                shorts = shorts + gathered @ self.bond_out[i]
                bonds = torch.cat([shorts, bonds[short:]])
                if i < 2:  # the last angle update is read by nothing
                    angles = angles + _on_angles(self.angle_units[i], graph, shorts, angles, atoms)
            if i == 2:
                weight, bias = self.site_wise
                magmoms = (atoms @ weight + bias).abs().view(-1)
        features = F.layer_norm(atoms, (64,), *self.readout_norm)
        for k, (weight, bias) in enumerate(self.readout):
            features = F.linear(F.silu(features) if k else features, weight, bias)
        return features.view(-1), magmoms


def _on_angles(unit: GatedUnit, graph: BondGraph, bonds: Tensor, angles: Tensor, atoms: Tensor) -> Tensor:
    left, right, angle, centre = (unit.project(k, x) for k, x in enumerate((bonds, bonds, angles, atoms)))
    return unit(left[graph.angle_left] + right[graph.angle_right] + angle + centre[graph.angle_centre])


def _bessel(lengths: Tensor, frequencies: Tensor, cutoff: float) -> Tensor:
    """Radial Bessel functions times a polynomial envelope, shape (U, 31), float32."""
    x = (lengths / cutoff)[:, None]
    p = ENVELOPE_POWER
    envelope = 1 - (p + 1) * (p + 2) / 2 * x**p + p * (p + 2) * x ** (p + 1) - p * (p + 1) / 2 * x ** (p + 2)
    envelope = torch.where(x < 1, envelope, torch.zeros_like(x))
    scale = math.sqrt(2 / cutoff) / lengths[:, None] * envelope
    return scale.float() * torch.sin(x.float() * frequencies)


def _fourier(angles: Tensor, frequencies: Tensor) -> Tensor:
    """1/sqrt(2), sines and cosines over sqrt(pi), shape (A, 31), float32."""
    phases = angles.float()[:, None] * frequencies
    constant = torch.full_like(phases[:, :1], math.sqrt(0.5))
    return torch.cat([constant, torch.sin(phases), torch.cos(phases)], dim=1) / math.sqrt(math.pi)


def _read_weights() -> dict[str, Tensor]:
    """Parameters of version 0.3.0 from the installed package, read without running any pickled code."""
    found = find_spec("chgnet")
    if found is None or found.origin is None:
        raise UserError("potential chgnet", "no chgnet package", "pip install chgnet, which brings the weights")
    checkpoint = torch.load(Path(found.origin).parent / WEIGHTS, map_location="cpu", weights_only=True)
    state: dict[str, Tensor] = checkpoint["model"]["state_dict"]
    return state
