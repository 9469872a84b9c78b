"""The base of joint diffusion models: training data, losses, requests, and sampling by templates.

A family brings processes, a network and its own losses; everything here is the same for all of them.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import ClassVar, Protocol

import torch
from torch import Tensor, nn

from nucleate.conditions.labels import Labels
from nucleate.conditions.request import Conditions
from nucleate.crystal.crystals import Crystals, wrap
from nucleate.crystal.lattice import automorphisms
from nucleate.diffusion.joint import Denoiser, JointProcess, Prediction, State
from nucleate.diffusion.noise import KeyedNoise, Noise
from nucleate.diffusion.predictor_corrector import PredictorCorrector
from nucleate.diffusion.species import MaskedSpecies
from nucleate.diffusion.symmetry_constrained import ClassSpecies, OrbitCoordinates, SymmetricCells
from nucleate.families.base import Strengths, TemplateModel
from nucleate.families.joint_config import JointConfig, SamplerConfig
from nucleate.guidance.adapters import Adapters, ConditionEmbedding, Mix
from nucleate.guidance.classifier_free import Guided
from nucleate.representations.cells import CellVectors
from nucleate.sampling.rejection import redrawn
from nucleate.sampling.request_plan import Plan, Request
from nucleate.symmetry.orbits import WIDTH, SiteOrbits, site_features
from nucleate.symmetry.templates import OrbitTemplates
from nucleate.symmetry.ties import described, ties_of

N_SPECIES = 100
BESIDE_THE_STEPS = {"symmetry", "symmetrize", "draws"}
"""Settings of a sampler that say what comes before and after the steps themselves."""


class JointTerm(Protocol):
    """A family's addition to the objective and the guidance of joint diffusion."""

    def fields(self, crystals: Crystals) -> dict[str, Tensor]:
        """Crystal fields (B, ...) that its losses need."""

    def losses(
        self, crystals: Crystals, state: State, prediction: Prediction, t: Tensor
    ) -> dict[str, tuple[float, Tensor]]:
        """Dimensionless losses (B,) by name, each with its weight."""

    def guided(
        self, denoiser: Denoiser, process: JointProcess, labels: Labels, strengths: Mapping[str, float]
    ) -> Denoiser:
        """The denoiser with what the family adds to guidance by labels of dimensionless strengths γ."""


class JointModel(TemplateModel[SamplerConfig]):
    """Processes, network, and what was learned of sizes, elements, symmetries and labels.

    Arguments:
        config: The family's configuration.
        name: Of the model.
        process: Of each field.
        cells: Between cells and vectors.
        network: The family's network.
        width: Of the network's site vectors.
        blocks: Rounds of messages in the network, each of which adapters can reach.

    Attributes:
        term: What the family adds; None for nothing.
        projects_cells: Whether each step without templates ends in a cell that the representation can hold.
    """

    config: JointConfig
    projects_cells: ClassVar[bool] = False

    def __init__(
        self,
        config: JointConfig,
        name: str,
        process: JointProcess,
        cells: CellVectors,
        network: nn.Module,
        width: int,
        blocks: int,
    ) -> None:
        super().__init__(config, name, N_SPECIES, OrbitTemplates())
        self.process, self.cells, self.network = process, cells, network
        self.embed = ConditionEmbedding(config.conditions, width)
        self.adapters = Adapters(config.adapters, width, blocks)
        self.term: JointTerm | None = None

    @abstractmethod
    def evaluate(
        self,
        state: State,
        lattice: Tensor,
        t: Tensor,
        sites: Tensor | None,
        context: Tensor | None,
        mix: Mix | None,
    ) -> Prediction:
        """The network's prediction, in the form that the processes ask for.

        Arguments:
            state: Noisy crystals.
            lattice: Their cells in Å, shape (B, 3, 3).
            t: Their times, shape (B,).
            sites: Features of the sites (:func:`site_features`), where the model has them.
            context: What conditions say, shape (B, width); None where the model has none.
            mix: What adapters add to the site vectors before each block; None without adapters.
        """

    def fit(self, crystals: Crystals) -> Crystals:
        """Take statistics from training crystals and return those crystals ready for a call.

        Arguments:
            crystals: In reduced cells, of at most ``max_atoms`` sites each, with labels in the crystal fields
                ``label/NAME`` for the conditions that need them.
        """
        self.cells.fit(crystals)
        self.fit_sizes(crystals.n_atoms)
        self.fit_elements(crystals.numbers)
        self.fit_conditions(crystals)
        if not self.config.templates:
            return self.prepared(crystals)
        placed = self.templates.fit(crystals)
        self.known.learn(placed, self.templates, self.config.scalars)
        return self._ready(described(placed, self.templates))

    def tune(self, crystals: Crystals, names: Collection[str]) -> Crystals:
        """Take statistics of the adapters ``names`` from tuning crystals and return those ready for a call.

        What was learned of sizes and elements stays; templates and labels of the crystals come on top.
        """
        self.fit_adapters(crystals, names)
        if not self.config.templates:
            return self.prepared(crystals)
        own = OrbitTemplates()
        placed = own.fit(crystals)
        self.known.learn_more(placed, own, self.templates, self.config.scalars)
        return self._ready(described(placed, own))

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
        further = {} if self.term is None else self.term.fields(crystals)
        fields = {**crystals.crystal_fields, "settings": inverse, "n_settings": count, **further}
        crystals = crystals.to(dtype=torch.float32)
        return replace(crystals, crystal_fields=fields)

    def denoise(self, state: State, t: Tensor, labels: Labels | None = None, sites: Tensor | None = None) -> Prediction:
        """The network's prediction for a noisy batch.

        Arguments:
            state: Noisy crystals.
            t: Their times, shape (B,).
            labels: What they should be; needed where the model has conditions.
            sites: Features of the sites (:func:`site_features`); needed where the model has them.
        """
        with torch.autocast(state.frac.device.type, enabled=False):
            lattice = self.cells.decode(state.cell, state.mask.sum(1))
        context = self.embed(labels) if labels is not None and self.config.conditions else None
        mix = self.adapters(labels) if labels is not None and self.config.adapters else None
        return self.evaluate(state, lattice, t, sites, context, mix)

    def forward(self, crystals: Crystals, noise: Noise) -> dict[str, Tensor]:
        """Losses (B,) of training crystals from :meth:`fit`: each field, the family's own, their weighted total."""
        with torch.autocast(crystals.frac.device.type, enabled=False):
            process, frac, sites = self._noising(crystals, noise)
            cell = self.cells.encode(crystals.lattice, crystals.n_atoms)
            t = self.config.earliest + (1 - self.config.earliest) * noise.uniform("time", (len(crystals),))
            t_species = self._species_time(t, noise)
            state, target = process.corrupt(crystals.numbers, frac, cell, crystals.mask, t, t_species, noise)
            labels = self.training_labels(crystals, noise)
        prediction = self.denoise(state, t, labels, sites)
        with torch.autocast(crystals.frac.device.type, enabled=False):
            losses = process.losses(prediction, target, state, t_species)
            a, b, c = self.config.weights
            count = crystals.n_atoms if self.config.sum_over_sites else 1
            found = {"species": losses.species * count, "coordinates": losses.frac * count, "cell": losses.cell}
            total = a * found["species"] + b * found["coordinates"] + c * found["cell"]
            further = {} if self.term is None else self.term.losses(crystals, state, prediction, t)
            for name, (weight, loss) in further.items():
                found[name] = loss
                total = total + weight * loss
        return {"total": bounded(total, self.config.bounded_above), **found}

    def _noising(self, crystals: Crystals, noise: Noise) -> tuple[JointProcess, Tensor, Tensor | None]:
        """Processes of a training batch, its clean coordinates, and features of its sites for the network."""
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
        guidance: Strengths | None = None,
    ) -> Crystals:
        """Crystals start .. start + n - 1 of the request (seed, where); see :class:`Request` for the conditions.

        Arguments:
            n: How many.
            where: Conditions; ``chemical_system``, ``composition`` and ``n_atoms`` are understood by every model,
                ``space_group`` where sampling keeps to templates, others by models that were trained on them.
            seed: Of the request.
            start: Number of the first crystal; each depends on seed and number alone.
            progress: Called with the number of crystals done, one of several draws of each counting as a part.
            sampler: How to sample; the model's default if None.
            guidance: γ of every condition, dimensionless, or by name; the model's default where nothing is said.

        Raises:
            UserError: A condition that the model does not have, or that no crystal of its sizes can meet; γ below 0.
        """
        settings = sampler or self.config.sampler
        reverse = PredictorCorrector(**settings.model_dump(exclude=BESIDE_THE_STEPS))
        by_template = settings.symmetry == "templates" and isinstance(self.process.species, MaskedSpecies)
        request = self.request(where or Conditions(), by_template, guidance)
        plan = request.plan(seed, start, n)

        done = 0

        def draw(rows: Tensor, number: int) -> Crystals:
            nonlocal done
            parts, order = [], []
            for batch in plan.batches(rows, pairs=12_000):
                parts.append(self._sampled(reverse, request, plan, batch, seed, number))
                order.append(batch)
                done += len(batch)
                if progress is not None:
                    progress(done // settings.draws)
            return Crystals.concatenate(parts)[torch.argsort(torch.cat([rows[:0], *order]))]

        system = request.conditions.chemical_system is not None and request.conditions.composition is None
        crystals = redrawn(draw, n, settings.draws, settings.symmetrize, balanced=system)
        if progress is not None:
            progress(n)
        return crystals

    @torch.inference_mode()
    def _sampled(
        self, reverse: PredictorCorrector, request: Request, plan: Plan, rows: Tensor, seed: int, draw: int
    ) -> Crystals:
        device, dtype = self.element_seen.device, self.element_seen.dtype
        noise = KeyedNoise(seed, plan.indices[rows].to(device), dtype=dtype, draw=draw)
        n_atoms = plan.n_atoms[rows].to(device)
        size, width = len(n_atoms), int(n_atoms.max())
        mask = torch.arange(width, device=device) < n_atoms[:, None]
        orbits: SiteOrbits | None = None
        sites = torch.zeros(size, width, WIDTH, device=device, dtype=dtype) if self.config.site_features else None
        if plan.templates is None:
            process, fixed_numbers = self._free(n_atoms), request.fixed_species(n_atoms, width)
        else:
            orbits, classes = self.templates.rows(plan.templates[rows], dtype)
            process = self._constrained(orbits, classes, n_atoms)
            fixed_numbers = request.fixed_species_of_classes(classes, noise)
            if sites is not None:
                sites = site_features(orbits, classes, torch.ones_like(n_atoms, dtype=torch.bool))
        fixed = fixed_numbers > 0
        species = process.species.prior(noise, (size, width))
        known = process.species.known(fixed_numbers)
        keep = fixed.reshape(size, width, *([1] * (species.dim() - 2)))
        begin = State(
            torch.where(keep, known, species),
            process.frac.prior(noise, (size, width, 3)),
            process.cell.prior(noise, (size, self.cells.width)),
            mask,
        )
        allowed = request.allowed.to(device).expand(size, -1)
        labels = plan.labels(rows, device, dtype)
        guided = Guided(self._conditional(sites), labels, request.strengths)
        denoiser = guided if self.term is None else self.term.guided(guided, process, labels, request.strengths)
        end = reverse.sample(process, denoiser, begin, fixed, allowed, noise)
        numbers = process.species.decode(end.species, mask, allowed)
        lattice = self.cells.decode(end.cell, n_atoms)
        frac = end.frac if orbits is None else orbits.constrained(end.frac)
        return Crystals(numbers, wrap(frac.double()) * mask[..., None], lattice.double(), n_atoms).to("cpu")

    def _conditional(self, sites: Tensor | None) -> Callable[[State, Tensor, Labels], Prediction]:
        """The denoiser of a batch, also where the batch comes several times over."""

        def denoiser(state: State, t: Tensor, labels: Labels) -> Prediction:
            repeated = None if sites is None else sites.repeat(len(t) // len(sites), 1, 1)
            return self.denoise(state, t, labels, repeated)

        return denoiser

    def _free(self, n_atoms: Tensor) -> JointProcess:
        """The processes of crystals of some sizes (B,) whose sites are free."""
        if not self.projects_cells:
            return self.process

        def project(vector: Tensor) -> Tensor:
            return self.cells.encode(self.cells.decode(vector, n_atoms), n_atoms)

        return JointProcess(self.process.species, self.process.frac, SymmetricCells.like(self.process.cell, project))

    def _constrained(self, orbits: SiteOrbits, classes: Tensor, n_atoms: Tensor) -> JointProcess:
        """The processes of crystals whose sites follow symmetry."""
        species, frac, cell = self.process.species, self.process.frac, self.process.cell

        def project(vector: Tensor) -> Tensor:
            metric = orbits.metrics(self.cells.decode(vector, n_atoms))
            return self.cells.encode(torch.linalg.cholesky(metric), n_atoms)

        return JointProcess(
            ClassSpecies(classes, species.process) if isinstance(species, MaskedSpecies) else species,
            OrbitCoordinates.like(frac, orbits),
            SymmetricCells.like(cell, project),
        )


def bounded(loss: Tensor, above: float | None) -> Tensor:
    """The loss up to a bound, above it the bound times one plus the logarithm of their ratio: smooth and rising."""
    if above is None:
        return loss
    return torch.where(loss > above, above * (1 + (loss.clamp_min(above) / above).log()), loss)
