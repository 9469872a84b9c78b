"""Joint diffusion of species, fractional coordinates and cell on GemNet-dT: MatterGen.

Zeni et al., A generative model for inorganic materials design, Nature 2025. Species are masked (a D3PM), coordinates
get wrapped normal noise that shrinks with the cell, cells noise that keeps the variance and ends in cubes of the
average density. The presets give the published choices with their places in the paper and its public code; those that
replace them by default are the fields' own.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from nucleate.conditions.quantities import quantity
from nucleate.crystal.lattice import to_voigt
from nucleate.diffusion.joint import JointProcess, Prediction, State
from nucleate.diffusion.noise import GeneratorNoise
from nucleate.diffusion.schedule import GeometricSchedule, LinearSchedule
from nucleate.diffusion.species import MaskedProcess, MaskedSpecies
from nucleate.diffusion.variance_preserving import VariancePreservingProcess
from nucleate.diffusion.wrapped_normal import WrappedNormalProcess
from nucleate.families.joint_config import DEFAULT_SAMPLER, JointConfig, SamplerConfig
from nucleate.families.joint_model import N_SPECIES, JointBatch, JointModel
from nucleate.guidance.adapters import Adapters, Mix
from nucleate.networks.cspnet import CSPNet, CSPNetConfig
from nucleate.networks.gemnet import GemNet, GemNetConfig
from nucleate.representations.cells import DensityScaledCells, LogShapeCells
from nucleate.symmetry.orbits import WIDTH
from nucleate.training.batch import TrainingBatch

PAPER_SAMPLER = SamplerConfig(steps=1000, corrector="snr", corrector_steps=1, snr=(0.4, 0.2))
"""D.1.3: 1,000 steps, before each a Langevin step at a signal-to-noise ratio of 0.4 for coordinates, 0.2 for cells."""


class MatterGenConfig(JointConfig):
    """A model of the family.

    Attributes:
        network: "gemnet" (the paper's GemNet-dT) or "cspnet", which is smaller and faster.
        gemnet, cspnet: Their shapes; widths of inputs and outputs follow from the rest. Edges come in whole shells:
            20 neighbours hold the first two of the dense packings.
        cell: "matrix" noises the symmetric matrix towards a cube (the paper), "log_shape" its logarithm.
        species_steps: Steps of the D3PM (the paper: 1,000); None masks in continuous time.
        species_loss: "bound", the paper's, or the cross-entropy of the "masked" sites alone.
        sigma: Smallest and largest noise of the fractional coordinates of one atom; n atoms have n^(-1/3) of it.
        centre: Take the mean over a crystal's sites out of answer, target and noise of coordinates.
        time_scale: The network gets t times this as its time.
        published_labels: Adapters read labels as the public code does, which its weights need.

    The rest is :class:`nucleate.families.joint_config.JointConfig`'s.
    """

    network: Literal["gemnet", "cspnet"] = "gemnet"
    gemnet: GemNetConfig = GemNetConfig.small(hidden=256, neighbours=20)
    cspnet: CSPNetConfig = CSPNetConfig(hidden=192, layers=6, frequencies=24, time_features=64, distance_basis=24)
    cell: Literal["matrix", "log_shape"] = "matrix"
    species_steps: int | None = Field(default=None, ge=2)
    species_loss: Literal["masked", "bound"] = "masked"
    sigma: tuple[float, float] = (0.01, 1.4)
    centre: bool = True
    bounded_above: float | None = Field(default=5.0, gt=0)
    time_scale: float = Field(default=1000.0, gt=0)
    published_labels: bool = False
    # At a temperature of 0.7 no more crystals of this family are stable (docs/walks.md).
    sampler: SamplerConfig = DEFAULT_SAMPLER.model_copy(update={"temperature": 0.5})

    @classmethod
    def paper(cls) -> MatterGenConfig:
        """As published; places are those of the paper's supplement, and of the public code where it says more.

        Network: A.8 with the sizes of the public code. Noise: A.5 (1,000 steps), A.6 with σ 0.01 .. 5, A.7. Losses and
        their weights: the public code's, sums over sites. Conditions: B.1, dropped one by one with probability 0.2.
        """
        return cls(
            gemnet=GemNetConfig(),
            species_steps=1000,
            species_loss="bound",
            sigma=(0.01, 5.0),
            centre=False,
            bounded_above=None,
            time_scale=1.0,
            weights=(1.0, 0.1, 1.0),
            sum_over_sites=True,
            earliest=1e-5,
            known_species=0.0,
            partly_known_species=0.0,
            augment=False,
            templates=False,
            tied=0.0,
            site_features=False,
            drop_each=0.2,
            drop_all=0.0,
            sampler=PAPER_SAMPLER,
        )

    @classmethod
    def conditioned(cls) -> MatterGenConfig:
        """The small configuration, conditioned on those of the paper's base models from the start."""
        return cls(conditions=tuple(quantity(name).condition for name in ("chemical_system", "energy_above_hull")))


SYMMETRIC = (1.0, 1.0, 1.0, 2.0, 2.0, 2.0)
"""How often each of the six entries stands in a symmetric matrix."""
SCALED_ON = 64
"""Training crystals that the network's scale factors are fitted on."""


class MatterGen(JointModel):
    """The family's model: GemNet-dT, or CSPNet, under the published processes."""

    config: MatterGenConfig
    network: GemNet | CSPNet
    projects_cells = True  # positive definite after each step

    def __init__(self, config: MatterGenConfig, name: str = "mattergen") -> None:
        species = MaskedSpecies(MaskedProcess(N_SPECIES, config.species_steps, config.species_loss))
        cells = DensityScaledCells() if config.cell == "matrix" else LogShapeCells()
        bound = cells.bounded if isinstance(cells, DensityScaledCells) else None
        process = JointProcess(
            species,
            WrappedNormalProcess(GeometricSchedule(*config.sigma), 1 / 3, "sigma", config.centre),
            VariancePreservingProcess("cell", "noise", LinearSchedule(), SYMMETRIC, bound),
        )
        network: GemNet | CSPNet
        width = WIDTH if config.site_features else 0
        if config.network == "gemnet":
            inputs = {"species_inputs": species.n_inputs, "site_features": width}
            if config.conditions:
                inputs["condition_features"] = config.gemnet.hidden
            network = GemNet(config.gemnet.model_copy(update=inputs))
            hidden, blocks = config.gemnet.hidden, config.gemnet.blocks
        else:
            inputs = {"species_inputs": species.n_inputs + width, "cell_features": cells.width}
            network = CSPNet(config.cspnet.model_copy(update=inputs))
            hidden, blocks = config.cspnet.hidden, config.cspnet.layers
        super().__init__(config, name, process, cells, network, hidden, blocks)
        if config.published_labels:
            self.adapters = Adapters(config.adapters, hidden, blocks, published=True)

    def fit(self, batch: TrainingBatch) -> JointBatch:
        """Take statistics from training crystals, and fit the network's scale factors to them."""
        train = super().fit(batch)
        if isinstance(self.network, GemNet):
            some = train[torch.linspace(0, len(train) - 1, min(SCALED_ON, len(train))).long()]
            noise = GeneratorNoise(torch.Generator().manual_seed(0))
            process, frac, sites = self._noising(some, noise)
            crystals = some.crystals
            t = noise.uniform("time", (len(some),))
            cell = self.cells.encode(crystals.lattice, crystals.n_atoms)
            state, _ = process.corrupt(crystals.numbers, frac, cell, crystals.mask, t, t, noise)
            # Before training the conditions say nothing.
            context = torch.zeros(len(some), self.config.gemnet.hidden) if self.config.conditions else None
            species = self.process.species.features(state.species)
            lattice = self.cells.decode(state.cell, crystals.n_atoms)
            self.network.fit_scales(
                species, state.frac, lattice, self.config.time_scale * t, state.mask, context, sites
            )
        return train

    def evaluate(
        self,
        state: State,
        lattice: Tensor,
        t: Tensor,
        sites: Tensor | None,
        context: Tensor | None,
        mix: Mix | None,
    ) -> Prediction:
        dtype = state.frac.dtype
        species, time = self.process.species.features(state.species).to(dtype), self.config.time_scale * t
        if isinstance(self.network, CSPNet):
            inputs = species if sites is None else torch.cat([species, sites], -1)
            cell_features = self.cells.features(state.cell, lattice)
            plain = self.network(inputs, state.frac, cell_features, lattice, time, state.mask, context, mix)
            return Prediction(plain.species.to(dtype), plain.coordinates.to(dtype), plain.cell.to(dtype))
        if sites is not None:
            sites = sites.to(dtype)
        out = self.network(species, state.frac, lattice, time, state.mask, context, sites, mix)
        return Prediction(out.species.to(dtype), out.coordinates.to(dtype), to_voigt(out.cell.to(dtype)))
