"""Names and shapes of the tensors of MatterGen's public code, for any widths of its network.

Facts of microsoft/mattergen; the published sizes have 281 tensors in a base model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

N_SPECIES = 101
"""Elements 1 .. 100 and the mask."""
N_GROUPS = 230
Kind = Literal["scalar", "categorical", "multi_hot"]
Size = tuple[int, ...]


@dataclass(frozen=True)
class Shape:
    """Sizes of a public network; the defaults are the published ones. Names are those of our configuration.

    Attributes:
        adapters: Public names of the conditions of adapters, sorted.
        kinds: How their labels are embedded.
    """

    hidden: int = 512
    edge: int = 512
    time: int = 512
    triplet: int = 64
    bilinear: int = 64
    radial: int = 16
    circular: int = 16
    degrees: int = 7
    n_radial: int = 128
    blocks: int = 4
    before_skip: int = 1
    after_skip: int = 2
    concatenated: int = 1
    site_layers: int = 3
    adapters: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = ()

    def kind(self, adapter: str) -> Kind:
        """How labels of an adapter are embedded."""
        return self.kinds[self.adapters.index(adapter)]


@dataclass(eq=False)
class Names(dict[str, Size]):
    """Shapes by name.

    Attributes:
        constants: Values of those tensors that are never trained.
    """

    constants: dict[str, Tensor] = field(default_factory=dict)


def shape_of(tensors: Mapping[str, Tensor]) -> Shape:
    """Sizes that a state dict has, as far as its tensors tell them; published ones for the rest."""
    published = Shape()

    def width(name: str, axis: int, default: int) -> int:
        value = tensors.get(name)
        return default if value is None or value.dim() <= axis else int(value.shape[axis])

    def count(prefix: str, default: int) -> int:
        parts = {name[len(prefix) :].split(".")[0] for name in tensors if name.startswith(prefix)}
        numbers = [int(part) for part in parts if part.isdecimal() and len(part) < 4]
        return 1 + max(numbers) if numbers else default

    block = "gemnet.int_blocks.0."
    hidden = width("gemnet.atom_emb.embeddings.weight", 1, published.hidden)
    adapt = "gemnet.cond_adapt_layers."
    names = {name[len(adapt) :].split(".")[0] for name in tensors if name.startswith(adapt)}
    adapters = tuple(sorted(names))
    return Shape(
        hidden=hidden,
        edge=width("gemnet.edge_emb.dense.linear.weight", 0, published.edge),
        time=max(0, width("gemnet.atom_latent_emb.weight", 1, hidden + published.time) - hidden),
        triplet=width(block + "trip_interaction.down_projection.linear.weight", 0, published.triplet),
        bilinear=width(block + "trip_interaction.mlp_cbf.weight", 2, published.bilinear),
        radial=width("gemnet.mlp_rbf3.linear.weight", 0, published.radial),
        circular=width("gemnet.mlp_cbf3.weight", 2, published.circular),
        degrees=width("gemnet.mlp_cbf3.weight", 0, published.degrees),
        n_radial=width("gemnet.mlp_rbf3.linear.weight", 1, published.n_radial),
        blocks=count("gemnet.int_blocks.", published.blocks),
        before_skip=count(block + "layers_before_skip.", 0 if _has(tensors, block) else published.before_skip),
        after_skip=count(block + "layers_after_skip.", 0 if _has(tensors, block) else published.after_skip),
        concatenated=count(block + "residual_m.", 0 if _has(tensors, block) else published.concatenated),
        site_layers=count(block + "atom_update.layers.", 1 + published.site_layers) - 1,
        adapters=adapters,
        kinds=tuple(_kind(tensors, name) for name in adapters),
    )


def expected(s: Shape) -> Names:
    """Every tensor that the state dict of a network of these sizes has."""
    out = Names()
    g = "gemnet."
    out[g + "atom_emb.embeddings.weight"] = (N_SPECIES, s.hidden)
    _linear(out, g + "atom_latent_emb", s.hidden + s.time, s.hidden, bias=True)
    _linear(out, g + "angle_edge_emb.0", s.edge + 3, s.edge, bias=True)
    _linear(out, g + "angle_edge_emb.2", s.edge, s.edge, bias=True)
    _dense(out, g + "edge_emb.dense", 2 * s.hidden + s.n_radial, s.edge)
    for name in ("mlp_rbf3", "mlp_rbf_h", "mlp_rbf_out", "mlp_rbf_lattice"):
        _dense(out, g + name, s.n_radial, s.radial)
    out[g + "mlp_cbf3.weight"] = (s.degrees, s.n_radial, s.circular)
    for name in ("radial_basis.rbf.offset", "cbf_basis3.radial_basis.rbf.offset"):
        out[g + name] = (s.n_radial,)
        out.constants[g + name] = torch.linspace(0, 1, s.n_radial, dtype=torch.float64)
    for k in range(s.blocks):
        _block(out, f"{g}int_blocks.{k}.", s)
    for k in range(s.blocks + 1):
        _heads(out, f"{g}out_blocks.{k}.", s)
        cell = f"{g}lattice_out_blocks.{k}."
        _dense(out, cell + "mlp.0", s.edge, s.edge)
        _dense(out, cell + "mlp.1", s.edge, s.edge)
        _dense(out, cell + "dense_rbf_F", s.radial, s.edge)
        _dense(out, cell + "out_forces", s.edge, 1)
    _linear(out, "fc_atom", s.hidden, N_SPECIES, bias=True)
    _waves(out, "noise_level_encoding", s.time)
    for name, kind in zip(s.adapters, s.kinds, strict=True):
        _adapter(out, name, kind, s)
    return out


def _block(out: Names, at: str, s: Shape) -> None:
    trip, update = at + "trip_interaction.", at + "atom_update."
    _dense(out, at + "dense_ca", s.edge, s.edge)
    _dense(out, trip + "dense_ba", s.edge, s.edge)
    _dense(out, trip + "mlp_rbf", s.radial, s.edge)
    _dense(out, trip + "down_projection", s.edge, s.triplet)
    _dense(out, trip + "up_projection_ca", s.bilinear, s.edge)
    _dense(out, trip + "up_projection_ac", s.bilinear, s.edge)
    out[trip + "mlp_cbf.weight"] = (s.triplet, s.circular, s.bilinear)
    out[trip + "scale_rbf.scale_factor"] = ()
    out[trip + "scale_cbf_sum.scale_factor"] = ()
    _residuals(out, at + "layers_before_skip.", range(s.before_skip), s.edge)
    _residuals(out, at + "layers_after_skip.", range(s.after_skip), s.edge)
    _residuals(out, at + "residual_m.", range(s.concatenated), s.edge)
    _dense(out, update + "dense_rbf", s.radial, s.edge)
    out[update + "scale_sum.scale_factor"] = ()
    _dense(out, update + "layers.0", s.edge, s.hidden)
    _residuals(out, update + "layers.", range(1, s.site_layers + 1), s.hidden)
    _dense(out, at + "concat_layer.dense", 2 * s.hidden + s.edge, s.edge)


def _heads(out: Names, at: str, s: Shape) -> None:
    """Heads of an energy, whose layers go by two names, and of displacements."""
    later = range(1, s.site_layers + 1)
    _dense(out, at + "dense_rbf", s.radial, s.edge)
    out[at + "scale_sum.scale_factor"] = ()
    for name in ("layers.", "seq_energy."):
        _dense(out, at + name + "0", s.edge, s.hidden)
        _residuals(out, at + name, later, s.hidden)
    _dense(out, at + "out_energy", s.hidden, 1)
    out[at + "scale_rbf_F.scale_factor"] = ()
    _dense(out, at + "seq_forces.0", s.edge, s.edge)
    _residuals(out, at + "seq_forces.", later, s.edge)
    _dense(out, at + "out_forces", s.edge, 1)
    _dense(out, at + "dense_rbf_F", s.radial, s.edge)


def _adapter(out: Names, name: str, kind: Kind, s: Shape) -> None:
    for k in range(s.blocks):
        _linear(out, f"gemnet.cond_adapt_layers.{name}.{k}.0", 2 * s.hidden, s.hidden, bias=True)
        _linear(out, f"gemnet.cond_adapt_layers.{name}.{k}.2", s.hidden, s.hidden, bias=True)
        _linear(out, f"gemnet.cond_mixin_layers.{name}.{k}", s.hidden, s.hidden, bias=False)
    at = f"property_embeddings_adapt.{name}."
    if kind == "scalar":
        _waves(out, at + "conditional_embedding_module", s.hidden)
        out[at + "scaler.means"] = (1,)
        out[at + "scaler.stds"] = (1,)
    elif kind == "categorical":
        out[at + "conditional_embedding_module.embedding.weight"] = (N_GROUPS, s.hidden)
    else:
        _linear(out, at + "conditional_embedding_module.embedding", N_SPECIES, s.hidden, bias=True)


def _kind(tensors: Mapping[str, Tensor], name: str) -> Kind:
    table = f"property_embeddings_adapt.{name}.conditional_embedding_module.embedding."
    if table + "bias" in tensors:
        return "multi_hot"
    return "categorical" if table + "weight" in tensors else "scalar"


def _waves(out: Names, name: str, width: int) -> None:
    out[f"{name}.div_term"] = (width // 2,)
    steps = torch.arange(0, width, 2, dtype=torch.float64)[: width // 2]
    out.constants[f"{name}.div_term"] = torch.exp(steps * (-math.log(10_000.0) / max(1, width)))


def _linear(out: Names, name: str, inputs: int, outputs: int, bias: bool) -> None:
    out[name + ".weight"] = (outputs, inputs)
    if bias:
        out[name + ".bias"] = (outputs,)


def _dense(out: Names, name: str, inputs: int, outputs: int) -> None:
    out[name + ".linear.weight"] = (outputs, inputs)


def _residuals(out: Names, prefix: str, numbers: range, width: int) -> None:
    for k in numbers:
        for half in (0, 1):
            _dense(out, f"{prefix}{k}.dense_mlp.{half}", width, width)


def _has(tensors: Mapping[str, Tensor], prefix: str) -> bool:
    return any(name.startswith(prefix) for name in tensors)
