"""The crystals that new ones are made from: their points in the latent space, and what is known of them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nucleate.crystal.conditions import Conditions
from nucleate.crystal.elements import SYMBOLS
from nucleate.errors import UserError
from nucleate.families.maggen.config import SamplerConfig
from nucleate.families.maggen.latent_graph import connections

_FIELDS = ("points", "labels", "predicted", "elements", "sizes", "template")
_WHOLE = ("elements", "sizes", "template")


class Parents(nn.Module):
    """P training crystals; empty before a training has ended.

    Attributes:
        points: Means in the latent space, shape (P, D).
        labels: Of the properties that have a branch, NaN where unknown, shape (P, C).
        predicted: What the branches say of the points, shape (P, C).
        elements: Atomic numbers in each, 0 where there are fewer, shape (P, k), int16.
        sizes: Sites of each, shape (P,), int16.
        template: Row of its template, -1 for none, shape (P,), int16.
    """

    points: Tensor
    labels: Tensor
    predicted: Tensor
    elements: Tensor
    sizes: Tensor
    template: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("points", "labels", "predicted"):
            self.register_buffer(name, torch.zeros(0, 0))
        self.register_buffer("elements", torch.zeros(0, 0, dtype=torch.int16))
        self.register_buffer("sizes", torch.zeros(0, dtype=torch.int16))
        self.register_buffer("template", torch.zeros(0, dtype=torch.int16))

    def __len__(self) -> int:
        return len(self.points)

    def keep(self, **values: Tensor) -> None:
        """Take the training crystals: every one of the attributes."""
        for name in _FIELDS:
            value = values[name].cpu()
            self.register_buffer(name, value.to(torch.int16) if name in _WHOLE else value.to(torch.bfloat16).float())

    def known(self) -> Tensor:
        """Labels, where they are unknown what the branches say, shape (P, C)."""
        return torch.where(self.labels.isfinite(), self.labels, self.predicted)

    def chosen(self, where: Conditions, names: tuple[str, ...], how: SamplerConfig) -> Tensor:
        """Rows of the crystals that a request is answered from.

        Arguments:
            where: Targets choose by label, a chemical system and a size by the crystal itself.
            names: Of the properties, in the order of the labels.
            how: Its ``parents``, ``similarity`` and ``correct``.

        Raises:
            UserError: No training crystal is left.
        """
        rows = torch.ones(len(self), dtype=torch.bool)
        if where.n_atoms is not None:
            rows &= (self.sizes >= where.n_atoms[0]) & (self.sizes <= where.n_atoms[1])
        if where.chemical_system is not None:
            system = torch.tensor([0, *where.chemical_system], dtype=torch.int16)
            inside = torch.isin(self.elements, system).all(1)
            # A model may know no crystal of a system; the decoder then puts its elements into others.
            rows = rows & inside if (rows & inside).any() else rows
        if how.parents != "all" and where.targets:
            asked = self.on_target(self.labels, where, names)
            rows &= asked
            if how.parents == "connected" and rows.any():
                rows &= self.connected(self.on_target(self.known(), where, names), how)
        if not rows.any():
            asked_for = ", ".join(f"{name}={low:g}..{high:g}" for name, (low, high) in where.targets.items())
            system_text = "-".join(SYMBOLS[z] for z in where.chemical_system or ())
            found = f"no {how.parents} parent among {len(self)} training crystals"
            expected = f"wider targets than {asked_for or system_text or 'these sizes'}, or --sampler parents=all"
            raise UserError("--where", found, expected)
        return rows.nonzero().flatten()

    def on_target(self, values: Tensor, where: Conditions, names: tuple[str, ...]) -> Tensor:
        """Which values (P, C) of the properties are what a request asks for; an unknown one is not."""
        found = torch.ones(len(values), dtype=torch.bool)
        for name, (low, high) in where.targets.items():
            column = values[:, names.index(name)]
            found &= (column >= low) & (column <= high)
        return found

    def connected(self, classes: Tensor, how: SamplerConfig) -> Tensor:
        """Which nodes have edges, of which more than the asked share lead to their own class, bool, shape (P,)."""
        found = connections(self.points, classes.long(), (how.similarity,))
        return found.share[:, 0].nan_to_num(0.0) > how.correct

    def _load_from_state_dict(self, state: dict[str, Tensor], prefix: str, *rest: object) -> None:
        """Take the sizes from the file: they are data, not architecture."""
        for name in _FIELDS:
            if prefix + name in state:
                like = state[prefix + name]
                dtype = torch.float32 if like.is_floating_point() else like.dtype
                self.register_buffer(name, torch.empty_like(like, dtype=dtype, device=self.points.device))
        super()._load_from_state_dict(state, prefix, *rest)  # type: ignore[arg-type]
