"""CSPNet: messages between all pairs of sites, with fractional vectors as Fourier features.

The published network (Jiao et al., Crystal structure prediction by joint equivariant diffusion, 2023, Eqs. 6-8)
feeds each pair MLP with [h_i, h_j, L Lᵀ, ψ(f_j - f_i)], where ψ holds sines and cosines of whole periods. Its
first layer is linear, so it is computed here as a sum: one part for each site, one for the cell, one for the
pair. Sines change sign and cosines do not when a pair is mirrored, so the pair part is computed once for i < j
and serves both directions. The outputs are the same numbers at less than half the arithmetic.

Beyond the paper, ``distance_basis`` adds to each pair the sum over its periodic images of Gaussians of their
Cartesian distance; fractional vectors alone leave the network to infer lengths from the metric tensor.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nucleate.configuration import Settings
from nucleate.crystal.periodic import image_offsets, minimum_image


class CSPNetConfig(Settings):
    """Shape of the network; the defaults are the paper's (12.3 M parameters).

    Attributes:
        hidden: Width of site and message vectors.
        layers: Number of message-passing layers.
        frequencies: Whole periods 0 .. K-1 in the Fourier features of each axis.
        time_features: Width of the embedding of the noise level.
        species_inputs: Width of the species input; one-hot vectors or one class for each row of an embedding.
        species_outputs: Width of the species output.
        cell_features: Numbers that describe the cell to each pair.
        distance_basis: Gaussians of the image distances, 0 for the paper's network.
        distance_cutoff: Reach of those Gaussians in Å.
    """

    hidden: int = 512
    layers: int = 6
    frequencies: int = 128
    time_features: int = 256
    species_inputs: int = 100
    species_outputs: int = 100
    cell_features: int = 9
    distance_basis: int = 0
    distance_cutoff: float = 6.0


class SinusoidalEmbedding(nn.Module):
    """Sines, then cosines of a scalar at frequencies from 1 down to 1e-4 (Vaswani et al., 2017, section 3.5).

    Arguments:
        width: Number of features, even.
    """

    frequencies: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        steps = torch.arange(half, dtype=torch.float64) / max(1, half - 1)
        self.register_buffer("frequencies", torch.exp(-math.log(1e4) * steps).float(), persistent=False)

    def forward(self, value: Tensor) -> Tensor:
        """Features (..., width) of scalars (...)."""
        angle = value[..., None] * self.frequencies.to(value.dtype)
        return torch.cat([angle.sin(), angle.cos()], -1)


def image_basis(difference: Tensor, lattice: Tensor, n_basis: int, cutoff: float) -> Tensor:
    """Gaussians of the distance, summed over the periodic images of each pair.

    Images within one cell of the nearest by fractional coordinate are counted, which covers the first
    neighbours of a reduced cell. The pair of a site with itself leaves out distance zero. A cosine
    envelope takes every term smoothly to zero at the cutoff.

    Arguments:
        difference: Fractional vectors, shape (B, P, 3).
        lattice: Cells as rows in Å, shape (B, 3, 3).
        n_basis: Number K of Gaussians, centred evenly from 0.5 Å to the cutoff.
        cutoff: Reach in Å.

    Returns:
        Shape (B, P, K).
    """
    offsets = image_offsets(1, difference.device).to(difference.dtype)
    vectors = (minimum_image(difference) @ lattice)[:, :, None] + (offsets @ lattice)[:, None]
    distance = vectors.square().sum(-1).clamp_min(1e-12).sqrt()
    centres = torch.linspace(0.5, cutoff, n_basis, device=distance.device, dtype=distance.dtype)
    width = (cutoff - 0.5) / n_basis
    envelope = 0.5 * (torch.cos(torch.pi * (distance / cutoff).clamp_max(1.0)) + 1.0) * (distance > 1e-3)
    gaussians = torch.exp(-0.5 * ((distance[..., None] - centres) / width) ** 2)
    return (envelope[..., None, :] @ gaussians)[..., 0, :]


class Prediction(NamedTuple):
    """Answers of the network for every field.

    Attributes:
        coordinates: Per site and axis, shape (B, N, 3).
        cell: Per crystal, shape (B, cell_features).
        species: Per site, shape (B, N, species_outputs).
    """

    coordinates: Tensor
    cell: Tensor
    species: Tensor


class CSPNet(nn.Module):
    """The network; it knows tensors, not crystals, and has no loss."""

    def __init__(self, config: CSPNetConfig) -> None:
        super().__init__()
        self.config = config
        width = config.hidden
        self.embed_species = nn.Linear(config.species_inputs, width)
        self.embed_time = SinusoidalEmbedding(config.time_features)
        self.mix = nn.Linear(width + config.time_features, width)
        self.layers = nn.ModuleList(PairLayer(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(width)
        self.to_coordinates = nn.Linear(width, 3, bias=False)
        self.to_cell = nn.Linear(width, config.cell_features, bias=False)
        self.to_species = nn.Linear(width, config.species_outputs)

    def forward(
        self,
        species: Tensor,
        frac: Tensor,
        cell_features: Tensor,
        lattice: Tensor,
        time: Tensor,
        mask: Tensor,
        context: Tensor | None = None,
        mix: Callable[[int, Tensor], Tensor] | None = None,
    ) -> Prediction:
        """Evaluate a batch.

        Arguments:
            species: One-hot or noisy one-hot species, shape (B, N, species_inputs).
            frac: Fractional coordinates, shape (B, N, 3).
            cell_features: What the pairs are given about the cell, shape (B, cell_features); the paper's is L Lᵀ.
            lattice: Cells in Å, shape (B, 3, 3); used by the distance basis alone.
            time: Noise level on the scale of the embedding (the paper's is 1 .. 1000), shape (B,).
            mask: True on real sites, shape (B, N).
            context: Added to every site vector before the first layer, shape (B, hidden).
            mix: From the number of a layer and the site vectors (B, N, hidden) before it to what is added to them.
        """
        b, n, _ = frac.shape
        features = PairFeatures.of(frac, lattice, self.config)
        h = self.embed_species(species)
        h = self.mix(torch.cat([h, self.embed_time(time).to(h.dtype)[:, None].expand(b, n, -1)], -1))
        if context is not None:
            h = h + context.to(h.dtype)[:, None]
        count = mask.sum(1).to(h.dtype)
        full = bool(mask.all())  # batches of equal size skip the masking of N x N messages
        weight = None if full else (mask.to(h.dtype) / count[:, None])[:, None, :]
        for number, layer in enumerate(self.layers):
            if mix is not None:
                h = h + mix(number, h).to(h.dtype)
            h = layer(h, cell_features, features, weight)
        h = self.norm(h)
        pooled = h.mean(1) if full else (h * mask[..., None]).sum(1) / count[:, None]
        return Prediction(self.to_coordinates(h), self.to_cell(pooled), self.to_species(h))


class PairFeatures(NamedTuple):
    """Features that do not change from layer to layer: features of the pairs i < j and of a site with itself.

    Attributes:
        even: Equal for a pair and its mirror: cosines, distance basis; shape (B, P, E).
        odd: Of opposite sign for the mirror: sines; shape (B, P, O).
        itself: Even features of each site with itself, shape (B, E); one row serves all sites of a crystal.
    """

    even: Tensor
    odd: Tensor
    itself: Tensor

    @classmethod
    def of(cls, frac: Tensor, lattice: Tensor, config: CSPNetConfig) -> PairFeatures:
        """Fourier features of pairs from products of per-site exponentials: N, not N², sines and cosines.

        Arguments:
            frac: Fractional coordinates, shape (B, N, 3).
            lattice: Cells as rows in Å, shape (B, 3, 3).
            config: Settings of the network.
        """
        n = frac.shape[1]
        i, j = torch.triu_indices(n, n, 1, device=frac.device)
        k = torch.arange(config.frequencies, device=frac.device, dtype=frac.dtype)
        phase = (2 * torch.pi * frac[..., None] * k).flatten(2)
        cos, sin = torch.cos(phase), torch.sin(phase)
        even = cos[:, j] * cos[:, i] + sin[:, j] * sin[:, i]
        odd = sin[:, j] * cos[:, i] - cos[:, j] * sin[:, i]
        itself = even.new_ones(frac.shape[0], even.shape[-1])
        if config.distance_basis:
            basis = image_basis(frac[:, j] - frac[:, i], lattice, config.distance_basis, config.distance_cutoff)
            own = image_basis(frac.new_zeros(len(frac), 1, 3), lattice, config.distance_basis, config.distance_cutoff)
            even = torch.cat([even, basis], -1)
            itself = torch.cat([itself, own[:, 0]], -1)
        return cls(even, odd, itself)


class PairLayer(nn.Module):
    """One round of messages between all pairs, a site with itself included."""

    def __init__(self, config: CSPNetConfig) -> None:
        super().__init__()
        width, waves = config.hidden, 3 * config.frequencies
        self.norm = nn.LayerNorm(width)
        # The columns of the pair MLP's first layer, in the paper's order, as separate matrices.
        self.sender = nn.Linear(width, width)
        self.receiver = nn.Linear(width, width, bias=False)
        self.cell = nn.Linear(config.cell_features, width, bias=False)
        self.odd = nn.Linear(waves, width, bias=False)
        self.even = nn.Linear(waves + config.distance_basis, width, bias=False)
        self.message = nn.Linear(width, width)
        self.update = nn.Sequential(nn.Linear(2 * width, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        _match_joint_initialisation(self.sender, self.receiver, self.cell, self.odd, self.even)

    def forward(self, h: Tensor, cell_features: Tensor, features: PairFeatures, weight: Tensor | None) -> Tensor:
        """Update site vectors (B, N, H); ``weight`` (B, 1, N) averages over real neighbours, None over all."""
        n = h.shape[1]
        x = self.norm(h)
        cell = self.cell(cell_features)[:, None]
        index = _directed_pairs(n, h.device)
        even, odd = self.even(features.even), self.odd(features.odd)
        pairs = torch.cat([even + odd, even - odd, self.even(features.itself)[:, None]], 1)
        pairs = pairs.index_select(1, index).unflatten(1, (n, n))
        # Nothing else reads these N² x H numbers, and a copy of them costs as much as the sum itself.
        pairs += (self.sender(x) + cell)[:, :, None]
        pairs += self.receiver(x)[:, None]
        in_place = not torch.is_grad_enabled()
        messages = F.silu(self.message(F.silu(pairs, inplace=in_place)), inplace=in_place)
        if weight is None:  # noqa: SIM108 (two kinds of arithmetic, not one value)
            gathered = messages.mean(2)
        else:
            gathered = (weight[:, :, None].to(messages.dtype) @ messages)[:, :, 0]
        return h + self.update(torch.cat([x, gathered], -1))


@lru_cache(maxsize=256)
@torch.inference_mode(mode=False)  # kept for later calls, and autograd refuses tensors that inference made
def _directed_pairs(n: int, device: torch.device) -> Tensor:
    """Where each of the n² directed pairs stands in the list of [pairs i < j, their mirrors, itself]."""
    i, j = torch.triu_indices(n, n, 1, device=device)
    p = len(i)
    index = torch.full((n, n), 2 * p, device=device)
    index[i, j] = torch.arange(p, device=device)
    index[j, i] = torch.arange(p, 2 * p, device=device)
    return index.flatten()


def _match_joint_initialisation(*parts: nn.Linear) -> None:
    """Draw the parts as one layer over all their inputs would be drawn."""
    bound = sum(part.in_features for part in parts) ** -0.5
    for part in parts:
        nn.init.uniform_(part.weight, -bound, bound)
        if part.bias is not None:
            nn.init.uniform_(part.bias, -bound, bound)
