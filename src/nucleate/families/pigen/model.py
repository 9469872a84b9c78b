"""Joint diffusion of species, fractional coordinates and cell on CSPNet: DiffCSP, and PIGEN on top of it.

Jiao et al., Crystal structure prediction by joint equivariant diffusion, NeurIPS 2023; Vasylenko et al.,
Physics-informed diffusion models for extrapolating crystal structures beyond known motifs, 2025. The papers'
choices and those that replace them by default stand side by side in :mod:`nucleate.families.pigen.config`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn

from nucleate.crystal.conditions import Conditions
from nucleate.crystal.crystals import Crystals, wrap
from nucleate.crystal.lattice import automorphisms
from nucleate.crystal.orbits import SiteOrbits
from nucleate.descriptors.compactness import compactness
from nucleate.diffusion.joint import Answer, Denoiser, JointProcess, Sampler, State
from nucleate.diffusion.noise import KeyedNoise, Noise
from nucleate.diffusion.schedule import GeometricSchedule
from nucleate.diffusion.species import GaussianSpecies, MaskedSpecies, SpeciesProcess
from nucleate.diffusion.symmetric import ClassSpecies, OrbitCoordinates, SymmetricCells
from nucleate.diffusion.variance_preserving import VariancePreservingProcess
from nucleate.diffusion.wrapped_normal import WrappedNormalProcess
from nucleate.families.pigen.cells import CellVectors, LogShapeCells, MatrixCells
from nucleate.families.pigen.compactness_guidance import CompactnessGuidance
from nucleate.families.pigen.compactness_loss import estimate_loss, upstream_loss
from nucleate.families.pigen.config import PigenConfig, SamplerConfig
from nucleate.families.pigen.known_crystals import KnownCrystals
from nucleate.families.pigen.redraw import redrawn
from nucleate.families.pigen.request import Plan, Request
from nucleate.families.pigen.site_features import WIDTH, site_features
from nucleate.families.pigen.training_data import described, fitted_conditions, labels_of, ties_of
from nucleate.guidance.classifier_free import Guided
from nucleate.guidance.embedding import ConditionEmbedding
from nucleate.guidance.labels import Labels
from nucleate.networks.cspnet import CSPNet
from nucleate.symmetry.templates import OrbitTemplates

N_SPECIES = 100
EARLIEST = 1e-3
"""Smallest training time; below it coordinates carry less noise than data do."""


class Pigen(nn.Module):
    """The family's model: processes, network, and what it learned of sizes, elements, symmetries and labels.

    Attributes:
        size_weights: Share of training crystals with n atoms at index n, shape (max_atoms + 1,).
        element_seen: 1 where the training data hold the atomic number z at index z - 1, shape (100,).
        templates: Symmetries of the training crystals; empty where the configuration keeps none.
        known: Which template and which labels go together; empty likewise.
        strengths: γ of every condition, or by name, where a call says nothing; None for the configuration's.
    """

    size_weights: Tensor
    element_seen: Tensor

    def __init__(self, config: PigenConfig, name: str = "pigen") -> None:
        super().__init__()
        self.config, self.name = config, name
        self.strengths: float | Mapping[str, float] | None = None
        species: SpeciesProcess = MaskedSpecies(N_SPECIES) if config.species == "masked" else GaussianSpecies(N_SPECIES)
        answer: Literal["noise", "velocity"] = "noise" if config.cell == "matrix" else "velocity"
        self.process = JointProcess(
            species,
            WrappedNormalProcess(GeometricSchedule(*config.sigma)),
            VariancePreservingProcess("cell", answer),
        )
        self.cells: CellVectors = MatrixCells() if config.cell == "matrix" else LogShapeCells()
        inputs = species.n_inputs + (WIDTH if config.site_features else 0)
        self.network = CSPNet(config.network(inputs, N_SPECIES, self.cells.width))
        self.embed = ConditionEmbedding(config.conditions, config.hidden)
        self.register_buffer("size_weights", torch.zeros(config.max_atoms + 1))
        self.register_buffer("element_seen", torch.zeros(N_SPECIES))
        self.templates = OrbitTemplates()
        self.known = KnownCrystals()

    def fit(self, crystals: Crystals) -> Crystals:
        """Take statistics from training crystals and return those crystals ready for a call.

        Arguments:
            crystals: In reduced cells, of at most ``max_atoms`` sites each, with labels in the crystal fields
                ``label/NAME`` for the conditions that need them.
        """
        self.cells.fit(crystals)
        sizes = torch.bincount(crystals.n_atoms, minlength=self.config.max_atoms + 1).float()
        self.size_weights.copy_(sizes / sizes.sum())
        seen = torch.bincount(crystals.numbers[crystals.mask] - 1, minlength=N_SPECIES)
        self.element_seen.copy_((seen > 0).float())
        self.config = self.config.model_copy(update={"conditions": fitted_conditions(self.config.conditions, crystals)})
        self.embed.conditions = self.config.conditions
        if not self.config.templates:
            return self.prepared(crystals)
        placed = self.templates.fit(crystals)
        scalars = self.config.scalars
        labels = labels_of(placed, scalars).values
        columns = [((labels[c.name] - c.mean) / c.std).float() for c in scalars]
        table = torch.stack(columns, 1) if columns else torch.zeros(len(placed), 0)
        self.known.fit(placed.crystal_fields["template"], table)
        return self._ready(described(placed, self.templates))

    def prepared(self, crystals: Crystals) -> Crystals:
        """Crystals as a call takes them: single precision, equivalent settings of each reduced cell, their symmetry."""
        if self.config.templates:
            own = OrbitTemplates()
            crystals = described(own.fit(crystals), own)
        return self._ready(crystals)

    def _ready(self, crystals: Crystals) -> Crystals:
        settings, count = automorphisms(crystals.lattice)
        if not self.config.augment:
            count = torch.ones_like(count)
        inverse = torch.linalg.inv(settings.float()).round().to(torch.int8)
        fields = {**crystals.crystal_fields, "settings": inverse, "n_settings": count}
        if self.config.compactness_loss != "none":
            fields["label/compactness"] = compactness(crystals).float()
        crystals = crystals.to(dtype=torch.float32)
        return replace(crystals, crystal_fields=fields)

    def denoise(self, state: State, t: Tensor, labels: Labels | None = None, sites: Tensor | None = None) -> Answer:
        """The network's answer for a noisy batch.

        Arguments:
            state: Noisy crystals.
            t: Their times, shape (B,).
            labels: What they should be; needed where the model has conditions.
            sites: Features of the sites (:func:`site_features`); needed where the model has them.
        """
        n_atoms = state.mask.sum(1)
        lattice = self.cells.decode(state.cell, n_atoms)
        species = self.process.species.features(state.species).to(state.frac.dtype)
        out = self.network(
            species if sites is None else torch.cat([species, sites], -1),
            state.frac,
            self.cells.features(state.cell, lattice),
            lattice,
            1000.0 * t,
            state.mask,
            self.embed(labels) if labels is not None and self.config.conditions else None,
        )
        # Reduced precision is for the network alone.
        coordinates, cell, logits = (part.to(state.frac.dtype) for part in out)
        return Answer(logits, coordinates, self.cells.answer(cell, lattice))

    def forward(self, crystals: Crystals, noise: Noise) -> dict[str, Tensor]:
        """Losses (B,) of training crystals from :meth:`fit`: each field, compactness, and their weighted total."""
        with torch.autocast(crystals.frac.device.type, enabled=False):
            process, frac, sites = self._noising(crystals, noise)
            cell = self.cells.encode(crystals.lattice, crystals.n_atoms)
            t = EARLIEST + (1 - EARLIEST) * noise.uniform("time", (len(crystals),))
            t_species = self._species_time(t, noise)
            state, target = process.corrupt(crystals.numbers, frac, cell, crystals.mask, t, t_species, noise)
            labels = labels_of(crystals, self.config.conditions)
            labels = labels.dropped(noise, self.config.drop_each, self.config.drop_all)
        answer = self.denoise(state, t, labels, sites)
        with torch.autocast(crystals.frac.device.type, enabled=False):
            losses = process.losses(answer, target, state)
            a, b, c = self.config.weights
            found = {"species": losses.species, "coordinates": losses.frac, "cell": losses.cell}
            total = a * losses.species + b * losses.frac + c * losses.cell
            if self.config.compactness_loss != "none":
                found["compactness"] = self._compactness_loss(crystals, state, answer, t)
                total = total + self.config.compactness_weight * found["compactness"]
        return {"total": total, **found}

    def _noising(self, crystals: Crystals, noise: Noise) -> tuple[JointProcess, Tensor, Tensor | None]:
        """Processes of a training batch, its clean coordinates, and what the network is told of the sites."""
        frac = self._any_setting(crystals, noise)
        size, width = crystals.numbers.shape
        none = None if not self.config.site_features else frac.new_zeros(size, width, WIDTH)
        if not self.config.templates or self.config.tied == 0:
            return self.process, frac, none
        coin = noise.uniform("tied", (size,)) < self.config.tied
        tied = coin & (crystals.crystal_fields["template"] >= 0)
        orbits, classes = ties_of(crystals, tied)
        process = self._constrained(orbits, classes, crystals.n_atoms)
        frac = torch.where(tied[:, None, None], crystals.site_fields["ideal"], frac)
        return process, frac, None if none is None else site_features(orbits, classes, tied)

    def _compactness_loss(self, crystals: Crystals, state: State, answer: Answer, t: Tensor) -> Tensor:
        target = crystals.crystal_fields["label/compactness"].to(state.frac.dtype)
        alpha_bar = self.process.cell.schedule.alpha_bar(t)
        if self.config.compactness_loss != "estimate":
            return upstream_loss(
                self.config.compactness_loss, state.species, answer.species, state.cell, answer.cell, alpha_bar,
                state.mask, target,
            )  # fmt: skip
        lattice = self.cells.decode(self.process.cell.clean(state.cell, answer.cell, t), crystals.n_atoms)
        probabilities = self.process.species.probabilities(state.species, answer.species, t)
        return estimate_loss(probabilities, lattice, state.mask, target, alpha_bar)

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
        guidance: Mapping[str, float] | float | None = None,
    ) -> Crystals:
        """Crystals start .. start + n - 1 of the request (seed, where); see :class:`Request` for the conditions.

        Arguments:
            n: How many.
            where: Conditions; ``chemical_system``, ``composition`` and ``n_atoms`` are understood by every model,
                ``space_group`` by a walk by templates, others by models that were trained on them.
            seed: Of the request.
            start: Number of the first crystal; each depends on seed and number alone.
            progress: Called with the number of crystals done, a walk of several draws counting as a part.
            sampler: The walk, the model's default if None.
            guidance: γ of every condition, or by name; the model's default where nothing is said.

        Raises:
            UserError: A condition that the model does not have, or that no crystal of its sizes can meet; γ below 0.
        """
        settings = sampler or self.config.sampler
        walk = Sampler(**settings.model_dump(exclude={"symmetry", "symmetrize", "draws"}))
        by_template = settings.symmetry == "templates" and self.config.species == "masked" and len(self.templates) > 0
        request = Request.of(
            where or Conditions(),
            self.size_weights.cpu(),
            self.element_seen.cpu(),
            self.config,
            self.templates if by_template else None,
            self.known if len(self.templates) else None,
            self.strengths if guidance is None else guidance,
        )
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
        device, dtype = self.element_seen.device, self.element_seen.dtype
        noise = KeyedNoise(seed, plan.indices[rows].to(device), dtype=dtype, draw=draw)
        n_atoms = plan.n_atoms[rows].to(device)
        size, width = len(n_atoms), int(n_atoms.max())
        mask = torch.arange(width, device=device) < n_atoms[:, None]
        orbits: SiteOrbits | None = None
        sites = torch.zeros(size, width, WIDTH, device=device, dtype=dtype) if self.config.site_features else None
        if plan.templates is None:
            process, pinned_numbers = self.process, request.pinned(n_atoms, width)
        else:
            orbits, classes = self.templates.rows(plan.templates[rows], dtype)
            process = self._constrained(orbits, classes, n_atoms)
            pinned_numbers = request.pinned_classes(classes, noise)
            if sites is not None:
                sites = site_features(orbits, classes, torch.ones_like(n_atoms, dtype=torch.bool))
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
        labels = plan.labels(rows, device, dtype)
        denoiser: Denoiser = Guided(self._told(sites), labels, request.strengths)
        if request.strengths.get("compactness", 0.0) > 1:
            # γ = 1 is the conditional model as it is; what lies above goes more of the way.
            share = 1 - 1 / request.strengths["compactness"]
            species_process, target = process.species, labels.values["compactness"]
            denoiser = CompactnessGuidance(denoiser, species_process, process.cell, self.cells, target, share)
        end = walk.walk(process, denoiser, begin, pinned, allowed, noise)
        numbers = process.species.decode(end.species, mask, allowed)
        lattice = self.cells.decode(end.cell, n_atoms)
        frac = end.frac if orbits is None else orbits.tied(end.frac)
        return Crystals(numbers, wrap(frac.double()) * mask[..., None], lattice.double(), n_atoms).to("cpu")

    def _told(self, sites: Tensor | None) -> Callable[[State, Tensor, Labels], Answer]:
        """The denoiser of a batch, also where the batch comes several times over."""

        def denoiser(state: State, t: Tensor, labels: Labels) -> Answer:
            repeated = None if sites is None else sites.repeat(len(t) // len(sites), 1, 1)
            return self.denoise(state, t, labels, repeated)

        return denoiser

    def _constrained(self, orbits: SiteOrbits, classes: Tensor, n_atoms: Tensor) -> JointProcess:
        """The processes of crystals whose sites are tied."""
        frac, cell = self.process.frac, self.process.cell

        def project(vector: Tensor) -> Tensor:
            metric = orbits.metrics(self.cells.decode(vector, n_atoms))
            return self.cells.encode(torch.linalg.cholesky(metric), n_atoms)

        return JointProcess(
            ClassSpecies(classes, N_SPECIES),
            OrbitCoordinates(frac.schedule, orbits=orbits),
            SymmetricCells(cell.stream, cell.answer, cell.schedule, project=project),
        )
