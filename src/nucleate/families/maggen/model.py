"""A variational auto-encoder over the matrix of a crystal, whose latent space is ordered by properties.

Mal, Seal & Sen, MagGen: a graph aided deep generative model for inverse design of stable, permanent magnets, 2023. The
published choices and those that replace them by default are both in :mod:`nucleate.families.maggen.config`. A matrix is
compared with its reconstruction by the paper's squared error, or by a loss of its own for each block.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nucleate.conditions.labels import fitted_conditions
from nucleate.conditions.request import Conditions
from nucleate.crystal.crystals import Crystals
from nucleate.crystal.elements import SYMBOLS
from nucleate.diffusion.noise import KeyedNoise, Noise
from nucleate.errors import UserError
from nucleate.families.base import GenerativeModel, Strengths
from nucleate.families.maggen.config import MagGenConfig, SamplerConfig
from nucleate.families.maggen.latent_space import Parents, everywhere, local, slerp
from nucleate.families.matrix_templates import MatrixBatch, MatrixTemplates, ordered, templates_by_column, usable
from nucleate.networks.cnn1d import LatentDecoder, LatentEncoder, branch, divergence
from nucleate.representations.ircr import IRCR, LARGEST_NUMBER, MAGGEN_ROWS, MatrixScaling
from nucleate.sampling.rejection import redrawn
from nucleate.training.batch import TrainingBatch


def squared_error(prediction: Tensor, clean: Tensor) -> Tensor:
    """Mean over all entries of scaled matrices (B, rows, columns), shape (B,); the paper's reconstruction loss."""
    return (prediction - clean).square().mean((1, 2))


def block_losses(ircr: IRCR, prediction: Tensor, clean: Tensor, raw: Tensor) -> dict[str, Tensor]:
    """Losses of the blocks of matrices (B, rows, columns), each of shape (B,).

    Elements and occupancies are a choice among the rows of a column, or the columns of a site, and nothing, whose
    logit is 0; their cross-entropies are summed over columns and sites. Coordinates count on occupied sites.

    Arguments:
        ircr: The representation.
        prediction: Logits in the rows E and O, scaled values elsewhere.
        clean: The scaled matrices.
        raw: The same as they were encoded.
    """
    blocks, k = ircr.blocks, ircr.k
    species = raw[:, blocks["E"], :k]
    element = torch.where(species.amax(1) > 0, species.argmax(1) + 1, 0)
    logits = F.pad(prediction[:, blocks["E"], :k], (0, 0, 1, 0))
    sites = raw[:, blocks["O"], :k]
    occupied = sites.amax(2) > 0
    column = torch.where(occupied, sites.argmax(2) + 1, 0)
    choices = F.pad(prediction[:, blocks["O"], :k], (1, 0)).mT
    off = (prediction - clean)[:, blocks["C"], :3].abs().mean(2)
    return {
        "elements": F.cross_entropy(logits, element, reduction="none").sum(1),
        "occupancy": F.cross_entropy(choices, column, reduction="none").sum(1),
        "coordinates": (off * occupied).sum(1) / occupied.sum(1).clamp_min(1),
        "cell": (prediction - clean)[:, blocks["L"], :3].abs().sum((1, 2)),
    }


ROWS = (*MAGGEN_ROWS, "zero", "zero")
"""Six properties and two rows of zeros, which make 144 rows with 20 sites."""
ON_TEMPLATE = "on_template"
"""Crystal field: whether the crystal has the symmetry of its parent."""
TOGETHER = 512
"""Crystals encoded or decoded at once."""
FIRST_LOG_VARIANCE = -4.0
"""Where the posterior's variance starts with a direct path, so that the first steps are those of an auto-encoder."""


def on_template(crystals: Crystals) -> Tensor:
    """Which crystals have the symmetry of their parents, or were not meant to; bool, shape (B,)."""
    return crystals.crystal_fields.get(ON_TEMPLATE, torch.ones(len(crystals), dtype=torch.bool))


class MagGen(GenerativeModel[SamplerConfig, MatrixBatch]):
    """The family's model: representation, scale, encoder, decoder, a branch for each property, and its parents.

    Attributes:
        parents: The training crystals in the latent space; empty before :meth:`finished`.
        templates: Their symmetries; none where sites do not stand in their order.
    """

    config: MagGenConfig

    def __init__(self, config: MagGenConfig, name: str = "maggen") -> None:
        super().__init__(config, name)
        self.ircr = IRCR(config.max_elements, config.max_atoms, ROWS)
        shape = (self.ircr.width, self.ircr.length)
        self.scaling = MatrixScaling((shape[1], shape[0]), (0.0, 1.0), config.scale)
        activation = None if config.bounded else nn.LeakyReLU(0.2)
        self.encoder = LatentEncoder(*shape, config.tower, config.dense, config.latent, activation)
        self.decoder = LatentDecoder(*shape, config.tower, config.dense, config.latent)
        size = shape[0] * shape[1]
        self.direct = nn.ModuleList()
        if config.direct:
            self.direct = nn.ModuleList([nn.Linear(size, config.latent), nn.Linear(config.latent, size)])
            nn.init.zeros_(self.encoder.log_variance.weight)
            nn.init.constant_(self.encoder.log_variance.bias, FIRST_LOG_VARIANCE)
        self.branches = nn.ModuleList([branch(config.latent, config.branch) for _ in config.conditions])
        self.parents = Parents()
        self.templates = templates_by_column()

    @property
    def properties(self) -> tuple[str, ...]:
        """Names of the properties that have a branch."""
        return tuple(condition.name for condition in self.config.conditions)

    def fit(self, batch: TrainingBatch) -> MatrixBatch:
        """Take scale and statistics from training crystals and return those crystals ready for a call.

        Arguments:
            batch: Crystals of any kind, with labels; those that the matrix cannot hold are left out.

        Raises:
            UserError: The matrix can hold none of them.
        """
        held = batch[self.ircr.held(batch.crystals)]
        kept = usable(held, self.ircr, self.config.cells, self.config.order, self.templates)
        self.scaling.fit(self.ircr.encode(kept.crystals))
        conditions = fitted_conditions(self.config.conditions, kept.labels_of(self.config.conditions))
        self.config = self.config.model_copy(update={"conditions": conditions})
        return kept.to(dtype=torch.float32)

    def prepared(self, batch: TrainingBatch) -> MatrixBatch:
        """Crystals as a call takes them; those that the matrix cannot hold are left out."""
        return usable(batch, self.ircr, self.config.cells, self.config.order).to(dtype=torch.float32)

    def finished(self, train: MatrixBatch) -> None:
        """Keep the training crystals from :meth:`fit` as parents, once the weights are final."""
        points = self.encode(train.crystals, ready=True)
        labels = self.labels(train).cpu()
        elements = self.ircr.encode(train.crystals)[:, self.ircr.blocks["E"], : self.ircr.k]
        numbers = torch.where(elements.amax(1) > 0, elements.argmax(1) + 1, 0)
        self.parents.keep(
            points=points,
            labels=labels,
            predicted=self.predicted(points),
            elements=numbers,
            sizes=train.crystals.n_atoms,
            template=train.template,
        )

    def forward(self, batch: MatrixBatch, noise: Noise) -> dict[str, Tensor]:
        """Losses (B,) of training crystals from :meth:`fit`: reconstruction, divergence, properties, their total."""
        raw = self.ircr.encode(batch.crystals)
        clean = self.scaling(raw)
        mean, log_variance = self._posterior(clean)
        z = mean + (0.5 * log_variance).exp() * noise.normal("latent", tuple(mean.shape))
        prediction = self._decoded(z)
        apart = divergence(mean, log_variance)
        if self.config.loss == "squared":
            found = {"reconstruction": squared_error(self._bounded(prediction), clean)}
            total = found["reconstruction"]
        else:
            found = block_losses(self.ircr, prediction, clean, raw)
            total = torch.stack(list(found.values()), 1) @ clean.new_tensor(self.config.weights)
        total = total + self.config.divergence * apart
        found["divergence"] = apart
        target = self._scaled(self.labels(batch))
        known = target.isfinite()
        read = mean
        if self.config.branch_noise > 0:
            read = mean + self.config.branch_noise * noise.normal("branches", tuple(mean.shape))
        off = (self._branch_values(read) - target.nan_to_num(0.0)).square().where(known, 0.0)
        # Branches whose label is missing on some crystals weigh as much as the others.
        off = off * (len(batch) / known.sum(0).clamp_min(1))
        for i, name in enumerate(self.properties):
            found[name] = off[:, i]
        return {"total": total + self.config.property_weight * off.sum(1), **found}

    @torch.inference_mode()
    def encode(self, crystals: Crystals, ready: bool = False) -> Tensor:
        """Means (B, D) in the latent space of crystals that the matrix holds; float32, on the processor.

        Arguments:
            crystals: In cells as the model wants them; their sites are put in its order.
            ready: They come from :meth:`fit` or :meth:`prepared`, which did that. A crystal may have several
                equivalent descriptions, so that doing it twice may end elsewhere.

        Raises:
            UserError: The matrix cannot hold one of them.
        """
        self.eval()
        parts = []
        for start in range(0, len(crystals), TOGETHER):
            some = crystals[start : start + TOGETHER]
            some = some if ready else ordered(some, self.config.order)[0]
            raw = self.ircr.encode(some.to(self._place, torch.float32))
            parts.append(self._posterior(self.scaling(raw))[0].cpu())
        return torch.cat(parts) if parts else torch.zeros(0, self.config.latent)

    @torch.inference_mode()
    def matrices(self, z: Tensor, allowed: Tensor | None = None) -> Tensor:
        """Matrices (B, rows, columns) in Å, degrees and fractions, of points (B, D) of the latent space.

        Arguments:
            z: The points.
            allowed: Elements that may occur, bool, shape (94,); the best of them takes the place of the best of all.
        """
        self.eval()
        prediction = self._decoded(z.to(self._place, torch.float32)).clone()
        blocks = self.ircr.blocks
        if allowed is not None:
            logits = prediction[:, blocks["E"], : self.ircr.k]
            kept = logits.where(allowed.to(logits.device)[:, None], -torch.inf)
            prediction[:, blocks["E"], : self.ircr.k] = kept + (logits.amax(1) - kept.amax(1))[:, None]
        if self.config.bounded:
            return self.scaling.inverse(prediction.sigmoid()).cpu().double()
        # Cells stay in the range of the training data, which a sigmoid would keep them in too.
        prediction[:, blocks["L"]] = prediction[:, blocks["L"]].clamp(0.0, 1.0)
        matrix = self.scaling.inverse(prediction)
        for letter in "EO":
            matrix[:, blocks[letter]] = prediction[:, blocks[letter]].sigmoid()
        return matrix.cpu().double()

    @torch.inference_mode()
    def predicted(self, z: Tensor) -> Tensor:
        """Properties (B, C) of points (B, D) by the branches, in their own units."""
        self.eval()
        found = self._branch_values(z.to(self._place, torch.float32)).cpu()
        low, width = self._units()
        return found * width + low

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

        Arguments:
            n: How many.
            where: Targets of the properties that have a branch, which choose the parents; ``chemical_system``, of
                which no other element may occur; ``n_atoms``, of the parents.
            seed: Of the request.
            start: Number of the first crystal; each depends on seed and number alone.
            progress: Called with the number of crystals done.
            sampler: How points are made, the model's default if None.
            guidance: γ, dimensionless; None, since properties choose the parents and nothing is guided.

        Returns:
            Crystals with the crystal fields ``parent``, the row of the parent in the training data, and
            ``predicted/NAME``, what each branch says of the point; decoded onto templates also ``on_template``, whether
            it has the symmetry of its parent.

        Raises:
            UserError: A condition that the model does not have, or no parent meets the request; guidance.
        """
        self.set_guidance(guidance)
        where, how = where or Conditions(), sampler or self.config.sampler
        self._check(where)
        rows = self.parents.chosen(where, self.properties, how)
        if n == 0:
            return Crystals.from_lists([], [], [])
        allowed = None
        if where.chemical_system is not None:
            allowed = torch.zeros(LARGEST_NUMBER, dtype=torch.bool)
            allowed[torch.tensor([z - 1 for z in where.chemical_system])] = True
        made = 0

        def draw(crystals: Tensor, number: int) -> Crystals:
            nonlocal made
            parts = []
            for some in crystals.split(TOGETHER):
                parts.append(self.made(rows, KeyedNoise(seed, some + start, draw=number), how, allowed))
                made += len(some)
                if progress is not None:
                    progress(min(n, made // how.draws))
            return Crystals.concatenate(parts)

        crystals = redrawn(draw, n, how.draws, how.symmetrize, as_meant=on_template)
        if progress is not None:
            progress(n)
        return crystals

    def made(self, rows: Tensor, noise: KeyedNoise, how: SamplerConfig, allowed: Tensor | None = None) -> Crystals:
        """One crystal for each number of ``noise`` from parents ``rows``; see :meth:`sample`."""
        size = len(noise.indices)
        known = self.parents.points.cpu()

        def one(stream: str) -> Tensor:
            place = (noise.uniform(stream, (size,)).double() * len(rows)).long().clamp_max(len(rows) - 1)
            return rows[place]

        first = one("parent")
        gauss = noise.normal("latent", (size, known.shape[1]))
        template = None
        if how.method == "local":
            z = local(known[first], gauss, how.scale)
            if how.symmetry == "templates" and len(self.templates):
                template = self.parents.template.cpu().long()[first]
        elif how.method == "slerp":
            z = slerp(known[first], known[one("other parent")], noise.uniform("share", (size,)))
        else:
            z = everywhere(known[rows], gauss, how.scale)
        return self.decoded(z, {"parent": first}, allowed, template)

    def decoded(
        self,
        z: Tensor,
        fields: dict[str, Tensor] | None = None,
        allowed: Tensor | None = None,
        template: Tensor | None = None,
    ) -> Crystals:
        """Crystals of points (B, D), with what the branches say in the crystal fields ``predicted/NAME``.

        Arguments:
            z: The points.
            fields: Further crystal fields.
            allowed: See :meth:`matrices`.
            template: Row of the template, -1 for none, of each, shape (B,): where the sites are still those of the
                template and an orbit holds one element, cell and coordinates keep its symmetry.
        """
        matrix = self.matrices(z, allowed)
        if template is not None:
            tied = MatrixTemplates.of(self.ircr, self.templates, template.clamp_min(0))
            kept = (template >= 0) & tied.kept(self.ircr.numbers(matrix))
            matrix = torch.where(kept[:, None, None], tied.projected(matrix), matrix)
            fields = {**(fields or {}), ON_TEMPLATE: kept}
        crystals = self.ircr.decode(matrix)
        said = self.predicted(z).double()
        found = {f"predicted/{name}": said[:, i] for i, name in enumerate(self.properties)}
        return replace(crystals, crystal_fields={**found, **(fields or {})})

    @property
    def _place(self) -> torch.device:
        return self.encoder.dense.weight.device

    def _posterior(self, clean: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.encoder(clean)
        if self.config.direct:
            mean = mean + self.direct[0](clean.flatten(1))
        return mean, log_variance.clamp(-20.0, 10.0)

    def _decoded(self, z: Tensor) -> Tensor:
        prediction: Tensor = self.decoder(z)
        return prediction + self.direct[1](z).view_as(prediction) if self.config.direct else prediction

    def _bounded(self, prediction: Tensor) -> Tensor:
        return prediction.sigmoid() if self.config.bounded else prediction

    def labels(self, batch: TrainingBatch) -> Tensor:
        """Labels (B, C) of the properties, each in its own unit, NaN where missing."""
        values = batch.labels_of(self.config.conditions).values
        columns = [values[name] for name in self.properties]
        return torch.stack(columns, 1) if columns else batch.crystals.frac.new_zeros(len(batch), 0)

    def _units(self) -> tuple[Tensor, Tensor]:
        """Zero and unit of each branch's scale in the property's own unit, each of shape (C,)."""
        ends = [
            (c.low or 0.0, (c.high or 1.0) - (c.low or 0.0) or 1.0) if self.config.bounded else (c.mean, c.std)
            for c in self.config.conditions
        ]
        low, width = zip(*ends, strict=True) if ends else ((), ())
        return torch.tensor(low), torch.tensor(width)

    def _scaled(self, labels: Tensor) -> Tensor:
        low, width = self._units()
        return (labels - low.to(labels)) / width.to(labels)

    def _branch_values(self, z: Tensor) -> Tensor:
        if not len(self.branches):
            return z.new_zeros(len(z), 0)
        return self._bounded(torch.cat([part(z) for part in self.branches], 1))

    def _check(self, where: Conditions) -> None:
        """The request names what the model has."""
        if not len(self.parents):
            raise UserError(f"model {self.name}", "no parents", "a model whose training has ended")
        asked = [name for name in ("composition", "space_group") if getattr(where, name) is not None]
        asked += [name for name in where.targets if name not in self.properties]
        if asked:
            offers = ", ".join((*self.properties, "chemical_system", "n_atoms"))
            raise UserError("--where", ", ".join(asked), f"conditions of this model: {offers}")
        seen = set(self.parents.elements.unique().tolist())
        unseen = [SYMBOLS[z] for z in where.chemical_system or () if z not in seen]
        if unseen:
            raise UserError("--where", ", ".join(unseen), "elements that the model was trained on")
