"""GemNet-dT: messages between directed edges, as the score network of MatterGen uses it.

Gasteiger et al., GemNet, 2021 (the direct variant with triplets) with MatterGen's (Zeni et al., 2025, A.8) time input,
angles between edges and lattice rows, a Cartesian head for coordinates and a head for symmetric 3x3 matrices.

    network = GemNet(GemNetConfig(...))
    network.fit_scales(species, frac, lattice, time, mask)    # once, on a training batch, before training
    out = network(species, frac, lattice, time, mask, context=None, sites=None, mix=None)
    out.coordinates  (B, N, 3)   fractional displacements; ``out.coordinates @ lattice`` is Cartesian, equivariant
    out.cell         (B, 3, 3)   symmetric, Cartesian, R out Rᵀ under a rotation
    out.species      (B, N, S)   logits
    out.sites        (B, N, H)   vectors of the last block, for a readout

Conditions enter in two ways: ``context`` (B, condition_features) and ``sites`` (B, N, site_features) stand beside
species and time in the first layer; ``mix(k, h)`` is called with the sites (B, N, hidden) before block k and returns
what to add to them, which is where adapters go (:class:`nucleate.guidance.adapters.MixIns`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from nucleate.configuration import Settings
from nucleate.networks.gemnet_graph import Graph, periodic_graph
from nucleate.networks.gemnet_layers import (
    Bases,
    Depth,
    EdgeEmbedding,
    EdgeScore,
    Interaction,
    RadialBasis,
    Scale,
    dense,
    zonal_harmonics,
)

Mix = Callable[[int, Tensor], Tensor]
"""From the number of a block and its sites (B, N, hidden) to what is added to them."""


class GemNetConfig(Settings):
    """Shape of the network; the defaults are MatterGen's.

    Attributes:
        hidden: Width of site vectors.
        edge: Width of edge vectors.
        triplet: Width of edge vectors in triplet messages.
        bilinear: Width of the result of the bilinear layer.
        radial: Width of the projected radial basis.
        circular: Width of the projected circular basis.
        blocks: Number of interaction blocks; each is followed by heads, as is the embedding.
        before_skip, after_skip, concatenated, site_layers, score_layers: Residual layers in the places of a block and
            in the coordinate head.
        degrees: Spherical harmonics of the angle, l = 0 .. degrees - 1.
        basis, n_radial: Radial functions and their number.
        cutoff: Length of the longest edge in Å.
        neighbours: Most edges at a site.
        edges: Which of them stay where a site has more: whole "shells" that both ends keep, or the "mirrored" half of
            a directed list, MatterGen's public code; see :mod:`nucleate.networks.gemnet_graph`.
        row_angles: Whether edges know their cosines with the rows of the cell, and with them which cell was chosen.
        time_features: Width of the embedding of the time; 0 for a network without time.
        condition_features: Width of the context; 0 for none.
        site_features: Numbers that describe each site beside its species; 0 for none.
        species_inputs: Width of the species input.
        species_outputs: Width of the species output.
    """

    hidden: int = Field(default=512, ge=1)
    edge: int = Field(default=512, ge=1)
    triplet: int = Field(default=64, ge=1)
    bilinear: int = Field(default=64, ge=1)
    radial: int = Field(default=16, ge=1)
    circular: int = Field(default=16, ge=1)
    blocks: int = Field(default=4, ge=1)
    before_skip: int = Field(default=1, ge=0)
    after_skip: int = Field(default=2, ge=0)
    concatenated: int = Field(default=1, ge=0)
    site_layers: int = Field(default=3, ge=0)
    score_layers: int = Field(default=3, ge=0)
    degrees: int = Field(default=7, ge=2)
    basis: Literal["gaussian", "bessel"] = "gaussian"
    n_radial: int = Field(default=128, ge=2)
    cutoff: float = Field(default=7.0, gt=0)
    neighbours: int = Field(default=50, ge=1)
    edges: Literal["shells", "mirrored"] = "shells"
    row_angles: bool = True
    time_features: int = Field(default=512, ge=0)
    condition_features: int = Field(default=0, ge=0)
    site_features: int = Field(default=0, ge=0)
    species_inputs: int = Field(default=101, ge=1)
    species_outputs: int = Field(default=101, ge=1)

    @classmethod
    def small(cls, **changes: object) -> GemNetConfig:
        """A network of 0.81 M parameters for training and sampling on a processor."""
        shape: dict[str, object] = {
            "hidden": 128, "edge": 96, "triplet": 16, "bilinear": 32, "radial": 16, "circular": 8, "blocks": 3,
            "before_skip": 1, "after_skip": 1, "concatenated": 1, "site_layers": 1, "score_layers": 1, "degrees": 5,
            "basis": "bessel", "n_radial": 24, "cutoff": 6.0, "neighbours": 24, "time_features": 128,
        }  # fmt: skip
        return cls.checked({**shape, **changes}, where="network")


class GemNetPrediction(NamedTuple):
    """Answers of the network for every field.

    Attributes:
        coordinates: Fractional displacement of each site, shape (B, N, 3); zero at padding.
        cell: Symmetric Cartesian matrix of each crystal, shape (B, 3, 3).
        species: Logits of each site, shape (B, N, species_outputs).
        sites: Site vectors of the last block, shape (B, N, hidden).
    """

    coordinates: Tensor
    cell: Tensor
    species: Tensor
    sites: Tensor


class State(NamedTuple):
    """Vectors of the sites and edges of a batch at some depth.

    Attributes:
        sites: Shape (B, N, hidden).
        edges: Shape (E, edge).
        graph: The edges.
        basis: Radial basis of their lengths, shape (E, n_radial).
    """

    sites: Tensor
    edges: Tensor
    graph: Graph
    basis: Tensor


class GemNetEncoder(nn.Module):
    """Sites and edges of every block; it knows tensors, not crystals."""

    def __init__(self, config: GemNetConfig) -> None:
        super().__init__()
        self.config = config
        hidden, edge = config.hidden, config.edge
        self.embed_species = nn.Linear(config.species_inputs, hidden, bias=False)
        nn.init.uniform_(self.embed_species.weight, -math.sqrt(3), math.sqrt(3))
        self.embed_time = TimeWaves(config.time_features)
        self.mix = nn.Linear(hidden + config.time_features + config.condition_features + config.site_features, hidden)
        self.basis = RadialBasis(config.basis, config.n_radial, config.cutoff)
        self.radial_triplet = dense(config.n_radial, config.radial)
        self.radial_site = dense(config.n_radial, config.radial)
        self.radial_circular = dense(config.n_radial, config.circular * config.degrees)
        self.embed_edge = EdgeEmbedding(hidden, config.n_radial, edge)
        width = edge + 3 * config.row_angles
        self.embed_angles = nn.Sequential(nn.Linear(width, edge), nn.ReLU(), nn.Linear(edge, edge))
        depth = Depth(config.before_skip, config.after_skip, config.concatenated, config.site_layers)
        widths = (hidden, edge, config.triplet, config.bilinear, config.radial, config.circular)
        self.blocks = nn.ModuleList(Interaction(*widths, depth) for _ in range(config.blocks))

    def states(
        self,
        species: Tensor,
        frac: Tensor,
        lattice: Tensor,
        time: Tensor | None,
        mask: Tensor,
        context: Tensor | None = None,
        sites: Tensor | None = None,
        mix: Mix | None = None,
    ) -> Iterator[State]:
        """Site vectors (B, N, width) and edge vectors (E, width) after the embedding and after each block.

        The arguments are those of :meth:`GemNet.forward`.
        """
        b, n = mask.shape
        with torch.autocast(frac.device.type, enabled=False):
            mirrored = self.config.edges == "mirrored"
            graph = periodic_graph(frac, lattice, mask, self.config.cutoff, self.config.neighbours, mirrored)
            basis = self.basis(graph.distance)
            bases = self._bases(graph, basis)
        per_crystal = ([] if time is None else [self.embed_time(time)]) + ([] if context is None else [context])
        beside = [value.to(frac.dtype)[:, None].expand(b, n, -1) for value in per_crystal]
        h = self.mix(torch.cat([self.embed_species(species), *beside, *([] if sites is None else [sites])], -1))
        m = self.embed_edge(h.flatten(0, 1), basis, graph)
        rows = [_row_cosines(graph, lattice).to(m.dtype)] if self.config.row_angles else []
        m = self.embed_angles(torch.cat([m, *rows], -1))
        yield State(h, m, graph, basis)
        for k, block in enumerate(self.blocks):
            if mix is not None:
                h = h + mix(k, h)
            flat, m = block(h.flatten(0, 1), m, bases, graph)
            h = flat.unflatten(0, (b, n))
            yield State(h, m, graph, basis)

    @torch.no_grad()
    def fit_scales(
        self,
        species: Tensor,
        frac: Tensor,
        lattice: Tensor,
        time: Tensor | None,
        mask: Tensor,
        context: Tensor | None = None,
        sites: Tensor | None = None,
    ) -> None:
        """Fit every scale factor, first to last, so that what it scales has variance 1 on these (B, N) sites."""
        scales = [module for module in self.modules() if isinstance(module, Scale)]
        for scale in scales:
            scale.fitting = True
        try:
            self._visit(species, frac, lattice, time, mask, context, sites)
        finally:
            for scale in scales:
                scale.fitting = False

    def _visit(self, *arguments: Tensor | None) -> None:
        """Evaluate whatever has scales."""
        for _ in self.states(*arguments):  # type: ignore[arg-type]
            pass

    def _bases(self, graph: Graph, basis: Tensor) -> Bases:
        """Bases that all blocks share."""
        directions = graph.table(graph.direction)
        cosine = (directions @ directions.mT).clamp(-1, 1)
        harmonics = zonal_harmonics(cosine, self.config.degrees)
        itself = torch.eye(graph.width, dtype=torch.bool, device=basis.device)
        harmonics = harmonics.masked_fill(itself[:, None], 0.0).flatten(1, 2)
        circular = self.radial_circular(basis).unflatten(1, (self.config.circular, self.config.degrees))
        return Bases(self.radial_triplet(basis), self.radial_site(basis), circular, harmonics)


class GemNet(GemNetEncoder):
    """The network with its heads; it has no loss."""

    def __init__(self, config: GemNetConfig) -> None:
        super().__init__(config)
        edge = config.edge
        self.radial_score = dense(config.n_radial, config.radial)
        self.radial_cell = dense(config.n_radial, config.radial)
        self.coordinate_scores = nn.ModuleList(
            EdgeScore(edge, config.radial, config.score_layers, linear=False) for _ in range(config.blocks + 1)
        )
        self.cell_scores = nn.ModuleList(
            EdgeScore(edge, config.radial, 0, linear=True) for _ in range(config.blocks + 1)
        )
        self.to_species = nn.Linear(config.hidden, config.species_outputs)

    def forward(
        self,
        species: Tensor,
        frac: Tensor,
        lattice: Tensor,
        time: Tensor | None,
        mask: Tensor,
        context: Tensor | None = None,
        sites: Tensor | None = None,
        mix: Mix | None = None,
    ) -> GemNetPrediction:
        """Evaluate a batch.

        Arguments:
            species: One-hot or noisy one-hot species, shape (B, N, species_inputs).
            frac: Fractional coordinates, shape (B, N, 3).
            lattice: Cells as rows in Å, shape (B, 3, 3).
            time: On the scale of the embedding's waves, which turn by 1 to 1e-4 radians in one unit, shape (B,);
                None in a network without time.
            mask: True on real sites, shape (B, N).
            context: Beside species and time in the first layer, shape (B, condition_features).
            sites: The same for each site, shape (B, N, site_features).
            mix: Called before each block; see the module.
        """
        b, n = mask.shape
        along = strain = frac.new_zeros(())
        states = self.states(species, frac, lattice, time, mask, context, sites, mix)
        for state, coordinate_score, cell_score in zip(states, self.coordinate_scores, self.cell_scores, strict=True):
            with torch.autocast(frac.device.type, enabled=False):
                radial, cell_radial = self.radial_score(state.basis), self.radial_cell(state.basis)
            along = along + coordinate_score(state.edges, radial)
            strain = strain + cell_score(state.edges, cell_radial)
        graph = state.graph
        with torch.autocast(frac.device.type, enabled=False):
            pushed = frac.new_zeros(b * n, 3).index_add(0, graph.target, along[:, None] * graph.direction)
            count = torch.bincount(graph.crystal, minlength=b).clamp_min(1).to(frac.dtype)
            dyads = (graph.direction[:, :, None] * graph.direction[:, None, :]).flatten(1)
            cell = frac.new_zeros(b, 9).index_add(0, graph.crystal, strain[:, None] * dyads) / count[:, None]
            coordinates = pushed.unflatten(0, (b, n)) @ torch.linalg.inv(lattice)
        return GemNetPrediction(coordinates, cell.unflatten(1, (3, 3)), self.to_species(state.sites), state.sites)

    def _visit(self, *arguments: Tensor | None) -> None:
        self(*arguments)


class TimeWaves(nn.Module):
    """Sines, then cosines of a time at frequencies 10000^(-2 i / width), i = 0, 1, ... (MatterGen's)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, value: Tensor) -> Tensor:
        """Features (..., width) of times (...)."""
        steps = torch.arange(self.width // 2, dtype=value.dtype, device=value.device)
        angle = value[..., None] * 10_000.0 ** (-2 * steps / self.width)
        return torch.cat([angle.sin(), angle.cos()], -1)


def _row_cosines(graph: Graph, lattice: Tensor) -> Tensor:
    """Cosines of each edge with the rows of its cell, shape (E, 3)."""
    rows = lattice / lattice.norm(dim=-1, keepdim=True)
    return (rows[graph.crystal] @ graph.direction[:, :, None])[..., 0]
