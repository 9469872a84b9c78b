"""A family in one file: caesium-chloride cells, whose volume follows from what the model learned of their elements."""

import torch
from pydantic import Field
from torch import nn

from nucleate.conditions.request import Conditions
from nucleate.crystal.crystals import Crystals
from nucleate.diffusion.noise import KeyedNoise
from nucleate.errors import UserError
from nucleate.families.base import FamilyConfig, FamilySpec, GenerativeModel
from nucleate.families.registry import register


class ToyConfig(FamilyConfig):
    spread: float = Field(default=0.05, ge=0, description="standard deviation of ln V")


class Toy(GenerativeModel):
    def __init__(self, config, name):
        super().__init__(config, name)
        self.log_volume = nn.Embedding(101, 1)
        self.register_buffer("seen", torch.zeros(101))

    def fit(self, batch):
        self.seen.copy_(torch.bincount(batch.crystals.numbers.flatten(), minlength=101).clamp_max(1))
        self.seen[0] = 0  # padding
        return self.prepared(batch)

    def prepared(self, batch):
        return batch.to(dtype=torch.float32)

    def forward(self, batch, noise):
        crystals = batch.crystals
        of_sites = self.log_volume(crystals.numbers)[..., 0] * crystals.mask
        away = of_sites.sum(1) / crystals.n_atoms - (crystals.volume / crystals.n_atoms).log()
        return {"total": away.square()}

    @torch.inference_mode()
    def sample(self, n, where=None, seed=0, start=0, progress=None, sampler=None, guidance=None):
        self.set_guidance(guidance)
        where = where or Conditions()
        asked = list(where.composition or where.chemical_system or ())
        known = all(self.seen[z] for z in asked) and len(asked) <= 2 and set((where.composition or {}).values()) <= {1}
        if not known or where.targets or where.space_group or not where.allows_size(2):
            raise UserError("--where", "what this model cannot make", "one or two known elements, one site each")
        noise = KeyedNoise(seed, torch.arange(start, start + n))
        seen = self.seen.nonzero().flatten()
        drawn = seen[(noise.uniform("elements", (n, 2)) * len(seen)).long()]
        numbers = torch.tensor((asked * 2)[:2]).expand(n, 2) if asked else drawn
        log_volume = self.log_volume(numbers)[..., 0].mean(1) + self.config.spread * noise.normal("volume", (n,))
        edge = (2 * log_volume.double().exp()) ** (1 / 3)
        if progress is not None:
            progress(n)
        frac = torch.tensor([[0.0] * 3, [0.5] * 3], dtype=torch.float64).expand(n, 2, 3)
        return Crystals(numbers, frac, edge[:, None, None] * torch.eye(3), torch.full((n,), 2))


register(FamilySpec(name="toy", config=ToyConfig, model=Toy, presets={"toy": ToyConfig}))
