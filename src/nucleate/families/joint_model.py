"""The base of joint diffusion models: training data, losses, requests, and sampling by templates.

A family brings processes, a network and its own losses; everything here is the same for all of them.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Protocol, Self

import torch
from torch import Tensor, nn
from typing_extensions import override

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
from nucleate.symmetry.ties import SiteSymmetry
from nucleate.training.batch import TrainingBatch

N_SPECIES = 100
BESIDE_THE_STEPS = {"symmetry", "symmetrize", "draws"}
"""Settings of a sampler that say what comes before and after the steps themselves."""


@dataclass(frozen=True)
class JointBatch(TrainingBatch):
    """Training crystals of joint diffusion, in reduced cells.

    Attributes:
        settings: For each equivalent setting of the cell, the map of fractional coordinates (rows) into it, whole
            numbers, padded to S settings, shape (B, S, 3, 3).
        n_settings: Number of settings, shape (B,).
        symmetry: That of the sites; None where the model keeps no templates.
    """

    settings: Tensor
    n_settings: Tensor
    symmetry: SiteSymmetry | None

    @override
    def __getitem__(self, rows: Tensor) -> Self:
        some = super().__getitem__(rows)
        width = some.crystals.numbers.shape[1]
        symmetry = None if self.symmetry is None else self.symmetry[rows].trimmed(width)
        return replace(some, settings=self.settings[rows], n_settings=self.n_settings[rows], symmetry=symmetry)

    @override
    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Self:
        symmetry = None if self.symmetry is None else self.symmetry.to(device, dtype)
        settings, n_settings = self.settings.to(device), self.n_settings.to(device)
        return replace(super().to(device, dtype), settings=settings, n_settings=n_settings, symmetry=symmetry)


class JointTerm(Protocol):
    """A family's addition to the objective and the guidance of joint diffusion."""

    def labels(self, crystals: Crystals) -> dict[str, Tensor]:
        """Labels (B,) by the name of the quantity that its losses need, NaN where undefined."""

    def losses(
        self, batch: TrainingBatch, state: State, prediction: Prediction, t: Tensor
    ) -> dict[str, tuple[float, Tensor]]:
        """Dimensionless losses (B,) by name, each with its weight."""

    def guided(
        self, denoiser: Denoiser, process: JointProcess, labels: Labels, strengths: Mapping[str, float]
    ) -> Denoiser:
        """The denoiser with what the family adds to guidance by labels of dimensionless strengths γ."""


class JointModel(TemplateModel[SamplerConfig, JointBatch]):
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

    def fit(self, batch: TrainingBatch) -> JointBatch:
        """Take statistics from training crystals and return those crystals ready for a call.

        Arguments:
            batch: Crystals in reduced cells, of at most ``max_atoms`` sites each, with labels for the conditions that
                need them.
        """
        self.cells.fit(batch.crystals)
        self.fit_sizes(batch.crystals.n_atoms)
        self.fit_elements(batch.crystals.numbers)
        self.fit_conditions(batch)
        if not self.config.templates:
            return self.prepared(batch)
        found = self.templates.fit(batch.crystals)
        placed = TrainingBatch(found.crystals, batch.labels)
        self.known.learn(found.template, found.crystals.numbers, self.scalar_labels(placed), self.templates)
        return self._ready(placed, SiteSymmetry.of(found, self.templates))

    def tune(self, batch: TrainingBatch, names: Collection[str]) -> JointBatch:
        """Take statistics of the adapters ``names`` from tuning crystals and return those ready for a call.

        What was learned of sizes and elements stays; templates and labels of the crystals come on top.
        """
        self.fit_adapters(batch, names)
        if not self.config.templates:
            return self.prepared(batch)
        own = OrbitTemplates()
        found = own.fit(batch.crystals)
        placed = TrainingBatch(found.crystals, batch.labels)
        self.known.learn_more(found.template, found.crystals.numbers, self.scalar_labels(placed), own, self.templates)
        return self._ready(placed, SiteSymmetry.of(found, own))

    def prepared(self, batch: TrainingBatch) -> JointBatch:
        """Crystals as a call takes them: single precision, equivalent settings of each reduced cell, their symmetry."""
        if not self.config.templates:
            return self._ready(batch, None)
        own = OrbitTemplates()
        found = own.fit(batch.crystals)
        return self._ready(TrainingBatch(found.crystals, batch.labels), SiteSymmetry.of(found, own))

    def _ready(self, batch: TrainingBatch, symmetry: SiteSymmetry | None) -> JointBatch:
        settings, count = automorphisms(batch.crystals.lattice)
        if not self.config.augment:
            count = torch.ones_like(count)
        inverse = torch.linalg.inv(settings.float()).round().to(torch.int8)
        further = {} if self.term is None else self.term.labels(batch.crystals)
        labels = Labels.of({**batch.labels.values, **further})
        return JointBatch(batch.crystals, labels, inverse, count, symmetry).to(dtype=torch.float32)

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

    def forward(self, batch: JointBatch, noise: Noise) -> dict[str, Tensor]:
        """Losses (B,) of training crystals from :meth:`fit`: each field, the family's own, their weighted total."""
        crystals = batch.crystals
        with torch.autocast(crystals.frac.device.type, enabled=False):
            process, frac, sites = self._noising(batch, noise)
            cell = self.cells.encode(crystals.lattice, crystals.n_atoms)
            t = self.config.earliest + (1 - self.config.earliest) * noise.uniform("time", (len(crystals),))
            t_species = self._species_time(t, noise)
            state, target = process.corrupt(crystals.numbers, frac, cell, crystals.mask, t, t_species, noise)
            labels = self.training_labels(batch, noise)
        prediction = self.denoise(state, t, labels, sites)
        with torch.autocast(crystals.frac.device.type, enabled=False):
            losses = process.losses(prediction, target, state, t_species)
            a, b, c = self.config.weights
            count = crystals.n_atoms if self.config.sum_over_sites else 1
            found = {"species": losses.species * count, "coordinates": losses.frac * count, "cell": losses.cell}
            total = a * found["species"] + b * found["coordinates"] + c * found["cell"]
            further = {} if self.term is None else self.term.losses(batch, state, prediction, t)
            for name, (weight, loss) in further.items():
                found[name] = loss
                total = total + weight * loss
        return {"total": bounded(total, self.config.bounded_above), **found}

    def _noising(self, batch: JointBatch, noise: Noise) -> tuple[JointProcess, Tensor, Tensor | None]:
        """Processes of a training batch, its clean coordinates, and features of its sites for the network."""
        crystals, symmetry = batch.crystals, batch.symmetry
        frac = self._any_setting(batch, noise)
        size, width = crystals.numbers.shape
        none = None if not self.config.site_features else frac.new_zeros(size, width, WIDTH)
        if symmetry is None or self.config.tied == 0:
            return self.process, frac, none
        constrained = symmetry.there & (noise.uniform("tied", (size,)) < self.config.tied)
        orbits, classes = symmetry.constrained(constrained, crystals.mask)
        process = self._constrained(orbits, classes, crystals.n_atoms)
        frac = torch.where(constrained[:, None, None], symmetry.ideal, frac)
        return process, frac, None if none is None else site_features(orbits, classes, constrained)

    def _any_setting(self, batch: JointBatch, noise: Noise) -> Tensor:
        """Coordinates (B, N, 3) in a random one of the equivalent settings of each cell."""
        count, frac = batch.n_settings, batch.crystals.frac
        pick = (noise.uniform("setting", (len(batch),)) * count).long().clamp_max(count - 1)
        change = batch.settings[torch.arange(len(pick), device=pick.device), pick]
        return wrap(frac @ change.to(frac.dtype))

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
