"""DiffCSP: joint diffusion of species, fractional coordinates and cell on CSPNet.

Jiao et al., Crystal structure prediction by joint equivariant diffusion, NeurIPS 2023. The paper's choices and
those that replace them by default stand side by side in :mod:`nucleate.families.diffcsp.config`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from nucleate.crystal.conditions import Conditions
from nucleate.crystal.crystals import Crystals, wrap
from nucleate.crystal.lattice import automorphisms
from nucleate.crystal.orbits import SiteOrbits
from nucleate.diffusion.joint import Answer, JointProcess, Sampler, State
from nucleate.diffusion.noise import KeyedNoise, Noise
from nucleate.diffusion.schedule import GeometricSchedule
from nucleate.diffusion.species import GaussianSpecies, MaskedSpecies, SpeciesProcess
from nucleate.diffusion.symmetric import ClassSpecies, OrbitCoordinates, SymmetricCells
from nucleate.diffusion.variance_preserving import VariancePreservingProcess
from nucleate.diffusion.wrapped_normal import WrappedNormalProcess
from nucleate.families.diffcsp.cells import CellVectors, LogShapeCells, MatrixCells
from nucleate.families.diffcsp.config import DiffCSPConfig, SamplerConfig
from nucleate.families.diffcsp.redraw import redrawn
from nucleate.families.diffcsp.request import Plan, Request
from nucleate.families.diffcsp.stoichiometry import SHARES, leaning, species_by_share
from nucleate.networks.cspnet import CSPNet
from nucleate.symmetry.templates import OrbitTemplates

N_SPECIES = 100
EARLIEST = 1e-3
"""Smallest training time; below it coordinates carry less noise than data do."""


class DiffCSP(nn.Module):
    """The family's model: processes, network, and what it learned of sizes and elements.

    Attributes:
        size_weights: Share of training crystals with n atoms at index n, shape (max_atoms + 1,).
        element_seen: 1 where the training data hold the atomic number z at index z - 1, shape (100,).
        share_logits: How much a share of the sites speaks for a species, shape (100, shares).
        templates: Symmetries of the training crystals; empty where the configuration keeps none.
    """

    size_weights: Tensor
    element_seen: Tensor
    share_logits: Tensor

    def __init__(self, config: DiffCSPConfig, name: str = "diffcsp") -> None:
        super().__init__()
        self.config, self.name = config, name
        species: SpeciesProcess = MaskedSpecies(N_SPECIES) if config.species == "masked" else GaussianSpecies(N_SPECIES)
        answer: Literal["noise", "velocity"] = "noise" if config.cell == "matrix" else "velocity"
        self.process = JointProcess(
            species,
            WrappedNormalProcess(GeometricSchedule(*config.sigma)),
            VariancePreservingProcess("cell", answer),
        )
        self.cells: CellVectors = MatrixCells() if config.cell == "matrix" else LogShapeCells()
        self.network = CSPNet(config.network(species.n_inputs, N_SPECIES, self.cells.width))
        self.register_buffer("size_weights", torch.zeros(config.max_atoms + 1))
        self.register_buffer("element_seen", torch.zeros(N_SPECIES))
        self.register_buffer("share_logits", torch.zeros(N_SPECIES, SHARES))
        self.templates = OrbitTemplates()

    def fit(self, crystals: Crystals) -> Crystals:
        """Take statistics from training crystals and return those crystals ready for a call.

        Arguments:
            crystals: In reduced cells, of at most ``max_atoms`` sites each.
        """
        self.cells.fit(crystals)
        sizes = torch.bincount(crystals.n_atoms, minlength=self.config.max_atoms + 1).float()
        self.size_weights.copy_(sizes / sizes.sum())
        seen = torch.bincount(crystals.numbers[crystals.mask] - 1, minlength=N_SPECIES)
        self.element_seen.copy_((seen > 0).float())
        self.share_logits.copy_(species_by_share(crystals.numbers, crystals.mask, N_SPECIES))
        if self.config.templates:
            self.templates.fit(crystals)
        return self.prepared(crystals)

    def prepared(self, crystals: Crystals) -> Crystals:
        """Crystals as a call takes them: single precision, with the equivalent settings of each reduced cell."""
        crystals = crystals.to(dtype=torch.float32)
        settings, count = automorphisms(crystals.lattice)
        if not self.config.augment:
            count = torch.ones_like(count)
        inverse = torch.linalg.inv(settings.float()).round().to(torch.int8)
        fields = {"settings": inverse, "n_settings": count}
        return Crystals(crystals.numbers, crystals.frac, crystals.lattice, crystals.n_atoms, crystal_fields=fields)

    def denoise(self, state: State, t: Tensor) -> Answer:
        """The network's answer for a noisy batch."""
        n_atoms = state.mask.sum(1)
        lattice = self.cells.decode(state.cell, n_atoms)
        out = self.network(
            self.process.species.features(state.species).to(state.frac.dtype),
            state.frac,
            self.cells.features(state.cell, lattice),
            lattice,
            1000.0 * t,
            state.mask,
        )
        # Reduced precision is for the network alone.
        coordinates, cell, logits = (part.to(state.frac.dtype) for part in out)
        return Answer(logits, coordinates, self.cells.answer(cell, lattice))

    def forward(self, crystals: Crystals, noise: Noise) -> dict[str, Tensor]:
        """Losses (B,) of training crystals from :meth:`fit`: species, coordinates, cell and their weighted total."""
        size, mask = len(crystals), crystals.mask
        frac = self._any_setting(crystals, noise)
        cell = self.cells.encode(crystals.lattice, crystals.n_atoms)
        t = EARLIEST + (1 - EARLIEST) * noise.uniform("time", (size,))
        t_species = self._species_time(t, noise)
        state, target = self.process.corrupt(crystals.numbers, frac, cell, mask, t, t_species, noise)
        losses = self.process.losses(self.denoise(state, t), target, state)
        a, b, c = self.config.weights
        total = a * losses.species + b * losses.frac + c * losses.cell
        return {"total": total, "species": losses.species, "coordinates": losses.frac, "cell": losses.cell}

    def _any_setting(self, crystals: Crystals, noise: Noise) -> Tensor:
        """Coordinates in a random one of the equivalent settings of each cell."""
        count = crystals.crystal_fields["n_settings"]
        pick = (noise.uniform("setting", (len(crystals),)) * count).long().clamp_max(count - 1)
        change = crystals.crystal_fields["settings"][torch.arange(len(pick), device=pick.device), pick]
        return wrap(crystals.frac @ change.to(crystals.frac.dtype))

    def _species_time(self, t: Tensor, noise: Noise) -> Tensor:
        """Mostly the common clock; sometimes zero (species given), sometimes a clock of its own."""
        coin = noise.uniform("species/clock", tuple(t.shape))
        own = noise.uniform("species/time", tuple(t.shape))
        known, partly = self.config.known_species, self.config.partly_known_species
        return torch.where(coin < known, torch.zeros_like(t), torch.where(coin < known + partly, own, t))

    def sample(
        self,
        n: int,
        where: Conditions | None = None,
        seed: int = 0,
        start: int = 0,
        progress: Callable[[int], None] | None = None,
        sampler: SamplerConfig | None = None,
    ) -> Crystals:
        """Crystals start .. start + n - 1 of the request (seed, where); see :class:`Request` for the conditions.

        Arguments:
            n: How many.
            where: Conditions; ``chemical_system``, ``composition`` and ``n_atoms`` are understood, and
                ``space_group`` by a walk by templates.
            seed: Of the request.
            start: Number of the first crystal; each depends on seed and number alone.
            progress: Called with the number of crystals done, a walk of several draws counting as a part.
            sampler: The walk, the model's default if None.

        Raises:
            UserError: A condition that the model does not have, or that no crystal of its sizes can meet.
        """
        settings = sampler or self.config.sampler
        walk = Sampler(**settings.model_dump(exclude={"symmetry", "symmetrize", "draws"}))
        by_template = settings.symmetry == "templates" and self.config.species == "masked" and len(self.templates) > 0
        templates = self.templates if by_template else None
        request = Request.of(where or Conditions(), self.size_weights.cpu(), self.element_seen.cpu(), templates)
        plan = request.plan(seed, start, n)

        walks = 0

        def draw(rows: Tensor, number: int) -> Crystals:
            nonlocal walks
            parts, order = [], []
            for batch in plan.batches(rows, pairs=12_000):
                parts.append(self._walk(walk, request, plan, batch, seed, number))
                order.append(batch)
                walks += len(batch)
                if progress is not None:
                    progress(walks // settings.draws)
            return Crystals.concatenate(parts)[torch.argsort(torch.cat([rows[:0], *order]))]

        crystals = redrawn(draw, n, settings.draws, settings.symmetrize)
        if progress is not None:
            progress(n)
        return crystals

    @torch.inference_mode()
    def _walk(self, walk: Sampler, request: Request, plan: Plan, rows: Tensor, seed: int, draw: int) -> Crystals:
        device = self.element_seen.device
        noise = KeyedNoise(seed, plan.indices[rows].to(device), dtype=self.element_seen.dtype, draw=draw)
        n_atoms = plan.n_atoms[rows].to(device)
        size, width = len(n_atoms), int(n_atoms.max())
        mask = torch.arange(width, device=device) < n_atoms[:, None]
        orbits: SiteOrbits | None = None
        if plan.templates is None:
            process, pinned_numbers = self.process, request.pinned(n_atoms, width)
        else:
            orbits, classes = self.templates.rows(plan.templates[rows], self.element_seen.dtype)
            process = self._constrained(orbits, classes, n_atoms)
            pinned_numbers = request.pinned_classes(classes, noise)
        pinned = pinned_numbers > 0
        species = process.species.prior(noise, (size, width))
        known = process.species.known(pinned_numbers)
        keep = pinned.reshape(size, width, *([1] * (species.dim() - 2)))
        begin = State(
            torch.where(keep, known, species),
            process.frac.prior(noise, (size, width, 3)),
            process.cell.prior(noise, (size, self.cells.width)),
            mask,
        )
        allowed = request.allowed.to(device).expand(size, -1)
        end = walk.walk(process, self.denoise, begin, pinned, allowed, noise)
        numbers = process.species.decode(end.species, mask, allowed)
        lattice = self.cells.decode(end.cell, n_atoms)
        frac = end.frac if orbits is None else orbits.tied(end.frac)
        return Crystals(numbers, wrap(frac.double()) * mask[..., None], lattice.double(), n_atoms).to("cpu")

    def _constrained(self, orbits: SiteOrbits, classes: Tensor, n_atoms: Tensor) -> JointProcess:
        """The processes of crystals that keep to their templates."""
        frac, cell = self.process.frac, self.process.cell

        def project(vector: Tensor) -> Tensor:
            metric = orbits.metrics(self.cells.decode(vector, n_atoms))
            return self.cells.encode(torch.linalg.cholesky(metric), n_atoms)

        return JointProcess(
            ClassSpecies(classes, leaning(self.share_logits, classes)),
            OrbitCoordinates(frac.schedule, orbits=orbits),
            SymmetricCells(cell.stream, cell.answer, cell.schedule, project=project),
        )
