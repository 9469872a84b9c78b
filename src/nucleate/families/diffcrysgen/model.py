"""One score model over the matrix of a crystal.

Mal, Mishra & Sen, DiffCrysGen, 2025. The presets give the published choices with their places; those that replace them
by default are the fields' own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from nucleate.conditions.kinds import Condition
from nucleate.conditions.labels import Labels
from nucleate.conditions.quantities import NamedConditions, quantity
from nucleate.conditions.request import Conditions
from nucleate.configuration import Settings
from nucleate.crystal.crystals import Crystals
from nucleate.diffusion.edm import EdmProcess, HeunSampler, TensorDenoiser
from nucleate.diffusion.noise import KeyedNoise, Noise
from nucleate.families.base import ConditionalConfig, Strengths, TemplateModel
from nucleate.families.diffcrysgen.constraints import drawn, known_entries, meets
from nucleate.families.matrix_templates import Cells, MatrixBatch, MatrixTemplates, Order, templates_by_column, usable
from nucleate.guidance.adapters import Adapters, ConditionEmbedding
from nucleate.guidance.classifier_free import Guided
from nucleate.networks.unet1d import UNet1d, UNet1dConfig
from nucleate.representations.ircr import IRCR, LARGEST_NUMBER, MatrixScaling, shuffled
from nucleate.sampling.rejection import symmetrize
from nucleate.sampling.request_plan import Plan, Request
from nucleate.symmetry.space_group import MAX_SYMPREC
from nucleate.training.batch import TrainingBatch


class SamplerConfig(Settings):
    """Settings of the sampler (:class:`nucleate.diffusion.edm.HeunSampler`) and what follows it.

    Attributes:
        precision: Of the network's arithmetic; the sampler's is double.
        draws: Most samples of a crystal. One that is not valid, or misses a chemical system, composition or size
            asked for, is drawn again; the best is kept. With 1, whatever comes is kept.
        symmetrize: Tolerance in Å within which a finished crystal is moved onto the symmetry it nearly has, where
            the structure matcher still calls it the same crystal; 0 leaves all as they came.
        symmetry: "templates" keeps to the symmetry and stoichiometry of a known crystal, whose elements, cell and
            free coordinates are sampled; it needs a model whose sites are in "canonical" order. "free" samples
            everything.
        batch: Crystals that are sampled together; none depends on it.
    """

    steps: int = Field(default=100, ge=2)
    sigma: tuple[float, float] = (0.002, 80.0)
    rho: float = Field(default=7.0, gt=0)
    churn: float = Field(default=1.0, ge=0)
    precision: Literal["float32", "bfloat16"] = "float32"
    draws: int = Field(default=1, ge=1, le=100)
    symmetrize: float = Field(default=0.0, ge=0, le=MAX_SYMPREC)
    symmetry: Literal["templates", "free"] = "free"
    batch: int = Field(default=64, ge=1)


PAPER_SAMPLER = SamplerConfig()
"""The constants of the public code; the paper gives none."""

DEFAULT_SAMPLER = SamplerConfig(steps=10, draws=10, symmetrize=0.1, symmetry="templates")
"""Fewer steps, by templates; invalid crystals are drawn again."""


CONDITIONS: tuple[Condition, ...] = tuple(
    quantity(name).condition for name in ("saturation_magnetization", "formation_energy", "compactness")
)
"""Their statistics come from the training data."""


class DiffCrysGenConfig(ConditionalConfig):
    """A model of the family.

    Attributes:
        max_elements, max_atoms: Columns and sites that the matrix holds.
        cells: "reduced" are the reduced cells as they come; "standard" are primitive standard cells, refined to the
            space group, so that equivalent crystals have equal coordinates.
        order: Of the sites: "given" as they come (the paper), "canonical", or "shuffled" anew at each training step.
        scale: By the training data: one linear scale for each "row" of the matrix (the paper), or one for each
            "entry" of the cell, while all others are known to lie between 0 and 1.
        weights: Of the mean errors of elements, cell, coordinates and occupancy (rows E, L, C, O); all zero for the
            plain mean over all entries (the paper).
        widths, attention: Shape of the network, see :class:`nucleate.networks.unet1d.UNet1dConfig`.
        sigma_data, log_mean, log_std: See :class:`nucleate.diffusion.edm.EdmProcess`.
        sampler: How it samples by default.

    The rest is :class:`nucleate.families.base.ConditionalConfig`'s.
    """

    max_elements: int = Field(default=3, ge=1, le=10)
    cells: Cells = "standard"
    order: Order = "canonical"
    scale: Literal["row", "entry"] = "entry"
    weights: tuple[float, float, float, float] = (2.0, 0.5, 1.0, 1.0)
    widths: tuple[int, ...] = (32, 64, 128)
    attention: Literal["channels", "rows"] = "rows"
    sigma_data: float = Field(default=0.5, gt=0)
    log_mean: float = -1.2
    log_std: float = Field(default=1.2, gt=0)
    conditions: NamedConditions = CONDITIONS
    sampler: SamplerConfig = DEFAULT_SAMPLER

    @classmethod
    def paper(cls) -> DiffCrysGenConfig:
        """As published: matrix as the crystals come, plain mean of the errors, no conditions."""
        return cls(
            cells="reduced",
            order="given",
            scale="row",
            weights=(0.0, 0.0, 0.0, 0.0),
            attention="channels",
            conditions=(),
            sampler=PAPER_SAMPLER,
        )

    def network(self, length: int, width: int) -> UNet1dConfig:
        """Shape of the network for matrices of the given rows and columns."""
        return UNet1dConfig(channels=width, length=length, widths=self.widths, attention=self.attention)


DRAWS_OF_A_PLAN = 3
"""Draws of a crystal before another size or template is tried."""


class DiffCrysGen(TemplateModel[SamplerConfig, MatrixBatch]):
    """The family's model: representation, scale, process and network; templates where sites stand in their order."""

    config: DiffCrysGenConfig

    def __init__(self, config: DiffCrysGenConfig, name: str = "diffcrysgen") -> None:
        super().__init__(config, name, LARGEST_NUMBER, templates_by_column())
        self.ircr = IRCR(config.max_elements, config.max_atoms)
        shape = (self.ircr.length, self.ircr.width)
        self.scaling = MatrixScaling(shape, over=config.scale)
        self.process = EdmProcess(config.sigma_data, config.log_mean, config.log_std)
        self.network = UNet1d(config.network(*shape))
        self.embed = ConditionEmbedding(config.conditions, self.network.config.noise_features)
        self.adapters = Adapters(config.adapters, self.network.config.noise_features, self.network.blocks)

    def fit(self, batch: TrainingBatch) -> MatrixBatch:
        """Take scale and statistics from training crystals and return those crystals ready for a call.

        Arguments:
            batch: Crystals of any kind, with labels for the conditions that need them; those that the matrix cannot
                hold are left out.

        Raises:
            UserError: The matrix can hold none of them.
        """
        held = batch[self.ircr.held(batch.crystals)]
        kept = usable(held, self.ircr, self.config.cells, self.config.order, templates=self.templates)
        crystals = kept.crystals
        self.scaling.fit(self.ircr.encode(crystals))
        if self.config.scale == "entry":
            for letter in "ECO":
                self.scaling.fix(self.ircr.blocks[letter], 0.0, 1.0)
        self.fit_sizes(crystals.n_atoms)
        self.fit_elements(crystals.numbers)
        self.fit_conditions(kept)
        if self.config.order != "given":
            self.known.learn(kept.template, crystals.numbers, self.scalar_labels(kept), self.templates)
        return kept.to(dtype=torch.float32)

    def tune(self, batch: TrainingBatch, names: Collection[str]) -> MatrixBatch:
        """Take statistics of the adapters ``names`` from tuning crystals and return those ready for a call.

        Scale, sizes and elements stay as they were learned; templates and labels of the crystals come on top.

        Raises:
            UserError: The matrix can hold none of them.
        """
        own = templates_by_column()
        held = batch[self.ircr.held(batch.crystals)]
        kept = usable(held, self.ircr, self.config.cells, self.config.order, own)
        self.fit_adapters(kept, names)
        if self.config.order != "given":
            labels = self.scalar_labels(kept)
            self.known.learn_more(kept.template, kept.crystals.numbers, labels, own, self.templates)
        return kept.to(dtype=torch.float32)

    def prepared(self, batch: TrainingBatch) -> MatrixBatch:
        """Crystals as a call takes them; those that the matrix cannot hold are left out."""
        return usable(batch, self.ircr, self.config.cells, self.config.order).to(dtype=torch.float32)

    def forward(self, batch: MatrixBatch, noise: Noise) -> dict[str, Tensor]:
        """Losses (B,) of training crystals from :meth:`fit`: the mean error of each block and their total."""
        crystals = batch.crystals
        with torch.autocast(crystals.frac.device.type, enabled=False):
            if self.config.order == "shuffled":
                crystals = shuffled(crystals, noise)
            clean = self.scaling(self.ircr.encode(crystals))
            noisy, sigma = self.process.corrupt(clean, noise)
            labels = self.training_labels(batch, noise)
        found = self.denoise(noisy, sigma, labels)
        with torch.autocast(crystals.frac.device.type, enabled=False):
            errors = self.process.errors(found, clean, sigma)
            blocks = self.ircr.blocks
            names = {"elements": "E", "cell": "L", "coordinates": "C", "occupancy": "O"}
            losses = {name: errors[:, blocks[letter]].mean((1, 2)) for name, letter in names.items()}
            weights = self.config.weights
            if any(weights):
                total = torch.stack(list(losses.values()), 1) @ clean.new_tensor(weights) / sum(weights)
            else:
                total = errors.mean((1, 2))
        return {"total": total, **losses}

    def denoise(self, noisy: Tensor, sigma: Tensor, labels: Labels) -> Tensor:
        """Estimate of clean scaled matrices from noisy ones (B, rows, columns) at noise levels (B,)."""
        condition = self.embed(labels) if self.config.conditions else None
        mix = self.adapters(labels) if self.config.adapters else None
        dtype = self.size_weights.dtype

        def network(x: Tensor, level: Tensor) -> Tensor:
            return self.network(x.mT.to(dtype), level.to(dtype), condition, mix).mT

        return self.process.denoised(network, noisy, sigma)

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
        """Crystals start .. start + n - 1 of the request (seed, where).

        Elements, counts and sizes of the request are known entries of the matrix during sampling
        (:mod:`nucleate.families.diffcrysgen.constraints`); properties are met by guidance. Sampling by templates
        draws one for each crystal that goes with the request; where none does, it is free.

        Arguments:
            n: How many.
            where: Conditions; ``chemical_system``, ``composition`` and ``n_atoms`` are understood by every model,
                ``space_group`` where sampling keeps to templates, others by models that were trained on them.
            seed: Of the request.
            start: Number of the first crystal; each depends on seed and number alone.
            progress: Called with the number of crystals done.
            sampler: How to sample; the model's default if None.
            guidance: γ of every condition, dimensionless, or by name; the model's default where nothing is said.

        Returns:
            Crystals with the crystal fields ``draws``, the number of draws each took, and ``symmetrized``, whether it
            was moved onto its symmetry, where the sampler does so. One that no draw made sound may have an
            impossible cell, or no sites.

        Raises:
            UserError: A condition that the model does not have, or that no crystal of its sizes can meet; γ below 0.
        """
        settings, where = sampler or self.config.sampler, where or Conditions()
        request = self.request(where, settings.symmetry == "templates", guidance)
        plans = [request.plan(seed, start, n)]
        known_entries(self.ircr, where, plans[0].n_atoms[:1])  # a request that cannot be met fails before any work
        if n == 0:
            return Crystals.from_lists([], [], [])
        drawn_so_far = 0

        def draw(rows: Tensor, number: int) -> Crystals:
            nonlocal drawn_so_far
            parts = []
            if number // DRAWS_OF_A_PLAN == len(plans):
                plans.append(request.plan(seed, start, n, len(plans)))
            for batch in rows.split(settings.batch):
                parts.append(self._sampled(settings, request, plans[-1], batch, seed, number))
                drawn_so_far += len(batch)
                if progress is not None:
                    progress(min(n, drawn_so_far // settings.draws))
            return Crystals.concatenate(parts)

        crystals = drawn(draw, n, settings.draws, lambda c: meets(where, c.numbers, c.n_atoms))
        if settings.symmetrize > 0:
            crystals = symmetrize(crystals, settings.symmetrize)
        if progress is not None:
            progress(n)
        return crystals

    @torch.inference_mode()
    def _sampled(
        self, settings: SamplerConfig, request: Request, plan: Plan, rows: Tensor, seed: int, number: int
    ) -> Crystals:
        device = self.size_weights.device
        noise = KeyedNoise(seed, plan.indices[rows].to(device), dtype=torch.float64, draw=number)
        templates = (
            None if plan.templates is None else MatrixTemplates.of(self.ircr, self.templates, plan.templates[rows])
        )
        known = known_entries(self.ircr, request.conditions, plan.n_atoms[rows], templates)
        known = known._replace(values=known.values.to(device), fixed=known.fixed.to(device))
        labels = plan.labels(rows, device, self.size_weights.dtype)
        sampler = HeunSampler(settings.steps, settings.sigma, settings.rho, settings.churn)
        guided: TensorDenoiser = Guided(self.denoise, labels, request.strengths)
        denoiser = known.inpainted(guided if templates is None else self._symmetric(guided, templates), self.scaling)
        precision = torch.autocast(device.type, torch.bfloat16, enabled=settings.precision == "bfloat16")
        with precision, self.network.standardised():
            scaled = sampler.sample(denoiser, (self.ircr.length, self.ircr.width), noise)
        allowed = request.allowed[:LARGEST_NUMBER].to(device)
        return self.ircr.decode(self.scaling.inverse(scaled), allowed).to("cpu")

    def _symmetric(self, denoiser: TensorDenoiser, templates: MatrixTemplates) -> TensorDenoiser:
        """A denoiser whose predictions keep to templates, so that sampling ends on them."""
        return lambda x, sigma: self.scaling(templates.projected(self.scaling.inverse(denoiser(x, sigma).double())))
