"""Weights of MatterGen's public code as a model of ours, tensor by tensor.

Names and shapes are those of microsoft/mattergen (MIT): a base model, or one that was fine-tuned with adapters. Its
network is ours operation by operation; what differs is how tensors lie in memory:

- the mask is the last of its species and the first of ours,
- its waves of time alternate sine and cosine, ours are all sines, then all cosines,
- its heads say the score times the standard deviation, ours says the noise of the cell, which is minus that,
- residual layers are stacked here, and three-dimensional weights are matrices.

Its graph is kept (``edges="mirrored"``), since its weights have seen no other. The heads for an energy, which it
trains on nothing and reads nowhere, are left behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from nucleate.conditions.kinds import Condition, Scalar
from nucleate.conditions.quantities import quantity
from nucleate.errors import UserError
from nucleate.families.mattergen.model import MatterGen, MatterGenConfig
from nucleate.families.mattergen.published_names import Shape, expected, shape_of
from nucleate.networks.gemnet import GemNetConfig

OURS = {
    "dft_mag_density": "magnetic_density",
    "dft_band_gap": "band_gap",
    "ml_bulk_modulus": "bulk_modulus",
    "dft_bulk_modulus": "bulk_modulus",
    "formation_energy_per_atom": "formation_energy",
}
"""Names of conditions that are others here."""
LOGARITHMIC = ("ml_bulk_modulus", "dft_bulk_modulus")
"""Conditions whose decimal logarithm was standardised."""
ELEMENTS = tuple(z for z in range(1, 84) if z not in (2, 10, 18, 36, 43, 54, 61))
"""Atomic numbers that the public code draws."""
SIZES = (
    0.000230, 0.002804, 0.019342, 0.163634, 0.046681, 0.078080, 0.027248, 0.115040, 0.048984, 0.126205,
    0.035774, 0.145913, 0.006003, 0.028628, 0.020228, 0.044732, 0.001303, 0.038699, 0.007014, 0.043457,
)  # fmt: skip
"""Share of crystals of 1, 2, ... 20 atoms in Alex-MP-20, from which the public code draws."""
ENERGY_HEADS = ("dense_rbf.", "scale_sum.", "layers.", "seq_energy.", "out_energy.")


@dataclass(frozen=True)
class PublishedCheckpoint:
    """A state dict that has every tensor of a public model and no other.

    Attributes:
        tensors: By their public names, without the prefix of the training code.
        shape: Sizes read from them.
        network: What no tensor tells: cutoff in Å and neighbours of a site.
    """

    tensors: Mapping[str, Tensor]
    shape: Shape
    network: Mapping[str, float]

    @classmethod
    def checked(cls, tensors: Mapping[str, Tensor], network: Mapping[str, float], where: str) -> PublishedCheckpoint:
        """The checkpoint, once names and shapes of tensors and the constants among them (Å, dimensionless) fit.

        Raises:
            UserError: Something is missing, too much, or of another shape; the message names the first and how many.
        """
        shape = shape_of(tensors)
        wanted = expected(shape)
        base = sorted({name.split(".")[1] for name in tensors if name.startswith("property_embeddings.")})
        if base:
            found = "a base model conditioned on " + ", ".join(base)
            raise UserError(where, found, "a base model without conditions, or one with adapters")
        complaints = (
            ("no", sorted(wanted.keys() - tensors.keys())),
            ("unknown", sorted(tensors.keys() - wanted.keys())),
        )
        for kind, names in complaints:
            if names:
                raise UserError(where, f"{kind} tensor{_first(names)}", f"the {len(wanted)} tensors of MatterGen")
        wrong = sorted(name for name, size in wanted.items() if tuple(tensors[name].shape) != size)
        if wrong:
            name = wrong[0]
            size = " x ".join(map(str, tensors[name].shape)) or "a number"
            right = " x ".join(map(str, wanted[name])) or "a number"
            raise UserError(where, f"tensor{_first(wrong)} of shape {size}", f"{right}, as in MatterGen")
        bad = sorted(name for name in wanted if not tensors[name].is_floating_point())
        bad += sorted(name for name in wanted if name not in bad and not bool(tensors[name].isfinite().all()))
        if bad:
            raise UserError(where, f"tensor{_first(bad)} without finite numbers", "finite numbers")
        for name, value in wanted.constants.items():
            if not torch.allclose(tensors[name].double(), value, rtol=1e-5, atol=1e-7):
                raise UserError(where, f"other values of {name}", "those of the public code")
        return cls(tensors, shape, network)

    def config(self, logarithmic: Mapping[str, bool]) -> MatterGenConfig:
        """The published configuration with sizes and conditions of this model.

        Arguments:
            logarithmic: By public name, whether the logarithm of a label was standardised; :data:`LOGARITHMIC` where
                nothing is said.
        """
        s = self.shape
        gemnet = GemNetConfig(
            hidden=s.hidden, edge=s.edge, triplet=s.triplet, bilinear=s.bilinear, radial=s.radial,
            circular=s.circular, blocks=s.blocks, before_skip=s.before_skip, after_skip=s.after_skip,
            concatenated=s.concatenated, site_layers=s.site_layers, score_layers=s.site_layers, degrees=s.degrees,
            n_radial=s.n_radial, time_features=s.time, edges="mirrored", cutoff=float(self.network["cutoff"]),
            neighbours=int(self.network["max_neighbors"]),
        )  # fmt: skip
        adapters = tuple(self._condition(name, logarithmic.get(name, name in LOGARITHMIC)) for name in s.adapters)
        paper = MatterGenConfig.paper()
        return paper.model_copy(update={"gemnet": gemnet, "adapters": adapters, "published_labels": True})

    def _condition(self, name: str, log: bool) -> Condition:
        ours = OURS.get(name, name)
        taken = [other for other in self.shape.adapters if other != name and OURS.get(other, other) == ours]
        known = quantity(name if taken else ours).condition
        if self.shape.kind(name) != known.kind:
            known = Scalar(name=known.name)
        if not isinstance(known, Scalar):
            return known
        scaler = f"property_embeddings_adapt.{name}.scaler."
        mean, std = (float(self.tensors[scaler + part]) for part in ("means", "stds"))
        return known.model_copy(update={"mean": mean, "std": std, "log": log})


def model_of(published: PublishedCheckpoint, logarithmic: Mapping[str, bool], name: str) -> MatterGen:
    """A model of ours with the weights of a public one; see :meth:`PublishedCheckpoint.config`."""
    model = MatterGen(published.config(logarithmic), name)
    with torch.no_grad():
        model.size_weights[1:] = torch.tensor(SIZES) / sum(SIZES)
        model.element_seen[torch.tensor(ELEMENTS) - 1] = 1.0
    state = {key: value for key, value in model.state_dict().items() if not key.startswith(("network.", "adapters."))}
    state |= {f"network.{key}": value for key, value in network_state(published).items()}
    state |= {f"adapters.{key}": value for key, value in adapter_state(published).items()}
    model.load_state_dict(state)
    return model.eval()


def network_state(published: PublishedCheckpoint) -> dict[str, Tensor]:
    """State of :class:`nucleate.networks.gemnet.GemNet`."""
    s, at = published.shape, published.tensors
    g = {key.removeprefix("gemnet."): value for key, value in at.items() if key.startswith("gemnet.")}
    species = g["atom_emb.embeddings.weight"]
    out = {
        "embed_species.weight": torch.cat([species[-1:], species[:-1]]).mT,
        "mix.weight": _unwoven(g["atom_latent_emb.weight"], s.hidden, s.time),
        "mix.bias": g["atom_latent_emb.bias"],
        "radial_triplet.weight": g["mlp_rbf3.linear.weight"],
        "radial_site.weight": g["mlp_rbf_h.linear.weight"],
        "radial_score.weight": g["mlp_rbf_out.linear.weight"],
        "radial_cell.weight": g["mlp_rbf_lattice.linear.weight"],
        "radial_circular.weight": g["mlp_cbf3.weight"].permute(2, 0, 1).flatten(0, 1),
        "embed_edge.weight": g["edge_emb.dense.linear.weight"],
        "to_species.weight": at["fc_atom.weight"],
        "to_species.bias": at["fc_atom.bias"],
    }
    for layer in (0, 2):
        for part in ("weight", "bias"):
            out[f"embed_angles.{layer}.{part}"] = g[f"angle_edge_emb.{layer}.{part}"]
    for k in range(s.blocks):
        out |= {f"blocks.{k}.{key}": value for key, value in _block(g, f"int_blocks.{k}.", s).items()}
    for k in range(s.blocks + 1):
        out |= {f"coordinate_scores.{k}.{key}": value for key, value in _head(g, f"out_blocks.{k}.", s).items()}
        cell = f"lattice_out_blocks.{k}."
        out |= {
            f"cell_scores.{k}.layers.first": g[cell + "mlp.0.linear.weight"],
            f"cell_scores.{k}.linear.weight": g[cell + "mlp.1.linear.weight"],
            f"cell_scores.{k}.radial.weight": g[cell + "dense_rbf_F.linear.weight"],
            f"cell_scores.{k}.out.weight": -g[cell + "out_forces.linear.weight"],
            f"cell_scores.{k}.scale.factor": torch.ones(()),
        }
    return {key: value.contiguous() for key, value in out.items()}


def adapter_state(published: PublishedCheckpoint) -> dict[str, Tensor]:
    """State of :class:`nucleate.guidance.adapters.Adapters` that read labels as published."""
    s, at = published.shape, published.tensors
    out = {}
    for i, name in enumerate(s.adapters):
        kind = s.kind(name)
        table = f"property_embeddings_adapt.{name}.conditional_embedding_module.embedding."
        if kind == "categorical":
            out[f"read.{i}.table.weight"] = at[table + "weight"].mT
        if kind == "multi_hot":  # its first column is of an element 0, which nothing has
            out[f"read.{i}.table.weight"] = at[table + "weight"][:, 1:]
            out[f"read.{i}.table.bias"] = at[table + "bias"]
        for k in range(s.blocks):
            adapt, ours = f"gemnet.cond_adapt_layers.{name}.{k}.", f"mix_ins.adapters.{i}.{k}."
            first = at[adapt + "0.weight"]
            out[ours + "adapt.0.weight"] = _unwoven(first, s.hidden, s.hidden) if kind == "scalar" else first
            out[ours + "adapt.0.bias"] = at[adapt + "0.bias"]
            out[ours + "adapt.2.weight"] = at[adapt + "2.weight"]
            out[ours + "adapt.2.bias"] = at[adapt + "2.bias"]
            out[ours + "mix_in.weight"] = at[f"gemnet.cond_mixin_layers.{name}.{k}.weight"]
    return {key: value.contiguous() for key, value in out.items()}


def left_behind(name: str) -> bool:
    """Whether a public tensor has no counterpart: energy heads, and constants that are computed here."""
    if name.endswith((".offset", ".div_term", ".means", ".stds")):
        return True
    return name.startswith("gemnet.out_blocks.") and name.split(".", 3)[3].startswith(ENERGY_HEADS)


def _block(g: Mapping[str, Tensor], at: str, s: Shape) -> dict[str, Tensor]:
    trip, update = at + "trip_interaction.", at + "atom_update."
    out = {
        "skip.weight": g[at + "dense_ca.linear.weight"],
        "triplets.edge.weight": g[trip + "dense_ba.linear.weight"],
        "triplets.radial.weight": g[trip + "mlp_rbf.linear.weight"],
        "triplets.scale_radial.factor": g[trip + "scale_rbf.scale_factor"],
        "triplets.down.weight": g[trip + "down_projection.linear.weight"],
        "triplets.bilinear.weight": g[trip + "mlp_cbf.weight"].permute(2, 1, 0).flatten(1),
        "triplets.scale_sum.factor": g[trip + "scale_cbf_sum.scale_factor"],
        "triplets.up.weight": g[trip + "up_projection_ca.linear.weight"],
        "triplets.up_mirror.weight": g[trip + "up_projection_ac.linear.weight"],
        "site_update.radial.weight": g[update + "dense_rbf.linear.weight"],
        "site_update.scale_sum.factor": g[update + "scale_sum.scale_factor"],
        "site_update.layers.first": g[update + "layers.0.linear.weight"],
        "concatenate.weight": g[at + "concat_layer.dense.linear.weight"],
    }
    out |= _residuals(g, "before", at + "layers_before_skip.", range(s.before_skip))
    out |= _residuals(g, "after", at + "layers_after_skip.", range(s.after_skip))
    out |= _residuals(g, "site_update.layers", update + "layers.", range(1, s.site_layers + 1))
    return out | _residuals(g, "concatenated", at + "residual_m.", range(s.concatenated))


def _head(g: Mapping[str, Tensor], at: str, s: Shape) -> dict[str, Tensor]:
    return {
        "layers.first": g[at + "seq_forces.0.linear.weight"],
        "radial.weight": g[at + "dense_rbf_F.linear.weight"],
        "out.weight": g[at + "out_forces.linear.weight"],
        "scale.factor": g[at + "scale_rbf_F.scale_factor"],
    } | _residuals(g, "layers", at + "seq_forces.", range(1, s.site_layers + 1))


def _residuals(g: Mapping[str, Tensor], ours: str, theirs: str, numbers: range) -> dict[str, Tensor]:
    layers = [
        torch.stack([g[f"{theirs}{k}.dense_mlp.{half}.linear.weight"] for half in (0, 1)]) for k in numbers
    ]  # fmt: skip
    return {f"{ours}.weights": torch.stack(layers)} if layers else {}


def _unwoven(weight: Tensor, before: int, waves: int) -> Tensor:
    """Columns of alternating sines and cosines, behind ``before`` others, in the order of ours."""
    rest, waved = weight.split([before, waves], 1)
    return torch.cat([rest, waved[:, 0::2], waved[:, 1::2]], 1)


def _first(names: list[str]) -> str:
    """The first two names and how many there are: `` a``, ``s a, b (7 in all)``."""
    if len(names) == 1:
        return f" {names[0]}"
    return f"s {', '.join(names[:2])}" + (f" ({len(names)} in all)" if len(names) > 2 else "")
