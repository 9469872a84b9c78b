"""Templates that go with a request: those of training crystals whose labels, or whose elements, are near.

Complexity, for one, is nearly a property of the template, so a template drawn without regard to the request could
leave nothing to steer. Drawing training crystals by a kernel on their labels is drawing from p(template | labels).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nucleate.crystal.crystals import Crystals
from nucleate.guidance.conditions import Scalar
from nucleate.guidance.training_labels import standardised_labels
from nucleate.symmetry.templates import OrbitTemplates

NEAREST = 64
"""Training crystals that a kernel spans at least."""
NARROWEST = 0.1
"""Smallest width of the kernel, in standard deviations of the labels."""
LEAST_SHARE = 1e-4
"""Parents of less weight are none: their labels would otherwise decide."""
_CHUNK = 256


class KnownCrystals(nn.Module):
    """Templates, elements and standardised labels of R training crystals.

    Attributes:
        template: Row of each crystal's template, shape (R,).
        elements: Atomic number of each of its classes, 0 beyond them, shape (R, K).
        labels: Labels in standard deviations from their mean, NaN where missing, shape (R, C).
    """

    template: Tensor
    elements: Tensor
    labels: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("template", torch.zeros(0, dtype=torch.int16))
        self.register_buffer("elements", torch.zeros(0, 0, dtype=torch.uint8))
        self.register_buffer("labels", torch.zeros(0, 0))

    def fit(self, template: Tensor, elements: Tensor, labels: Tensor) -> None:
        """Keep the crystals that have a template (>= 0, shape (R,)): elements of classes (R, K), labels (R, C)."""
        kept = template >= 0
        self.register_buffer("template", template[kept].to(torch.int16))
        self.register_buffer("elements", elements[kept].to(torch.uint8))
        self.register_buffer("labels", labels[kept].to(torch.float16).float())

    def extend(self, template: Tensor, elements: Tensor, labels: Tensor) -> None:
        """Add crystals with ``labels`` (R', C') of more conditions than before; those that were there have none."""
        before = F.pad(self.labels, (0, labels.shape[1] - self.labels.shape[1]), value=torch.nan)
        kept = template >= 0
        width = max(elements.shape[1], self.elements.shape[1])
        old, new = (F.pad(one, (0, width - one.shape[1])) for one in (self.elements, elements[kept].to(torch.uint8)))
        self.register_buffer("elements", torch.cat([old, new]))
        self.register_buffer("template", torch.cat([self.template, template[kept].to(torch.int16)]))
        self.register_buffer("labels", torch.cat([before, labels[kept].to(torch.float16).float()]))

    def learn(self, placed: Crystals, templates: OrbitTemplates, scalars: Sequence[Scalar]) -> None:
        """Keep training crystals from :meth:`OrbitTemplates.fit` with their labels of some conditions."""
        at = placed.crystal_fields["template"]
        self.fit(at, templates.members(at, placed.numbers), standardised_labels(placed, scalars))

    def learn_more(
        self, placed: Crystals, own: OrbitTemplates, templates: OrbitTemplates, scalars: Sequence[Scalar]
    ) -> None:
        """Add crystals, whose templates are their ``own``, and these to the ``templates`` that were there before."""
        at = placed.crystal_fields["template"]
        moved = torch.where(at < 0, at, at + len(templates))
        self.extend(moved, own.members(at, placed.numbers), standardised_labels(placed, scalars))
        templates.extend(own)

    def draw(self, asked: Tensor, weights: Tensor, u: Tensor, parents: Tensor | None = None) -> Tensor:
        """Templates (n,) of training crystals near the asked labels.

        Arguments:
            asked: Standardised labels of each crystal to be made, NaN where not asked, shape (n, C).
            weights: Zero for templates that the request rules out, shape (T,).
            u: Uniform numbers, shape (n,).
            parents: Weight of each training crystal beside that of its labels, shape (R,); None for 1.
        """
        template = self.template.long().cpu()
        labels, possible = self.labels.cpu().double(), weights.cpu()[template] > 0
        share = torch.ones(len(template), dtype=torch.float64) if parents is None else parents.double().cpu()
        possible &= share > LEAST_SHARE
        drawn = []
        for part, at in zip(asked.cpu().double().split(_CHUNK), u.cpu().double().split(_CHUNK), strict=True):
            wanted = part.isfinite()
            off = (labels[None] - part[:, None]).square()
            # A training crystal without one of the labels asked says nothing; one not asked does not count.
            distance = torch.where(wanted[:, None], off, torch.zeros_like(off)).sum(-1)
            distance = torch.where(possible & distance.isfinite(), distance, torch.inf)
            # No crystal with such a template has the labels: any template that may be taken is as good.
            distance = torch.where(distance.isfinite().any(-1, keepdim=True), distance, _cost(possible))
            nearest = distance.topk(min(NEAREST, len(template)), largest=False).values
            reached = torch.where(nearest.isfinite(), nearest, torch.zeros_like(nearest)).amax(-1, keepdim=True)
            closest = nearest[:, :1]
            width = ((reached - closest) / 2).clamp_min(NARROWEST**2)
            cumulative = (torch.exp(-0.5 * (distance - closest) / width) * share).cumsum(-1)
            row = torch.searchsorted(cumulative, at[:, None] * cumulative[:, -1:], right=True)[:, 0]
            drawn.append(template[row.clamp_max(len(template) - 1)])
        return torch.cat(drawn)

    def _load_from_state_dict(self, state: dict[str, Tensor], prefix: str, *rest: object) -> None:
        """Take the sizes from the file: they are data, not architecture."""
        for name in ("template", "elements", "labels"):
            if prefix + name in state:
                like = state[prefix + name]
                dtype = torch.float32 if like.is_floating_point() else like.dtype
                self.register_buffer(name, torch.empty_like(like, dtype=dtype, device=self.template.device))
        super()._load_from_state_dict(state, prefix, *rest)  # type: ignore[arg-type]


def _cost(possible: Tensor) -> Tensor:
    """Zero where possible, else infinite."""
    return torch.where(possible, 0.0, torch.inf).double()
