"""Joint diffusion of species, fractional coordinates and cell on GemNet-dT: MatterGen.

Zeni et al., A generative model for inorganic materials design, Nature 2025. Species are masked (a D3PM), coordinates
get wrapped normal noise that shrinks with the cell, cells noise that keeps the variance and ends in cubes of the
average density. The paper's choices and those that replace them by default stand side by side in
:mod:`nucleate.families.mattergen.config`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.lattice import to_voigt
from nucleate.diffusion.joint import JointProcess, Prediction, State
from nucleate.diffusion.noise import GeneratorNoise
from nucleate.diffusion.schedule import GeometricSchedule, LinearSchedule
from nucleate.diffusion.species import MaskedProcess, MaskedSpecies
from nucleate.diffusion.variance_preserving import VariancePreservingProcess
from nucleate.diffusion.wrapped_normal import WrappedNormalProcess
from nucleate.families.joint_model import N_SPECIES, JointModel
from nucleate.families.mattergen.config import MatterGenConfig
from nucleate.guidance.adapters import Adapters, Mix
from nucleate.networks.cspnet import CSPNet
from nucleate.networks.gemnet import GemNet
from nucleate.representations.cells import DensityScaledCells, LogShapeCells
from nucleate.symmetry.site_features import WIDTH

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

    def fit(self, crystals: Crystals) -> Crystals:
        """Take statistics from training crystals, and fit the network's scale factors to them."""
        train = super().fit(crystals)
        if isinstance(self.network, GemNet):
            some = train[torch.linspace(0, len(train) - 1, min(SCALED_ON, len(train))).long()]
            noise = GeneratorNoise(torch.Generator().manual_seed(0))
            process, frac, sites = self._noising(some, noise)
            t = noise.uniform("time", (len(some),))
            cell = self.cells.encode(some.lattice, some.n_atoms)
            state, _ = process.corrupt(some.numbers, frac, cell, some.mask, t, t, noise)
            # Before training the conditions say nothing.
            context = torch.zeros(len(some), self.config.gemnet.hidden) if self.config.conditions else None
            species = self.process.species.features(state.species)
            lattice = self.cells.decode(state.cell, some.n_atoms)
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
