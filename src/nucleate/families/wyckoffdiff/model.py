"""Discrete diffusion over the occupations of Wyckoff positions, then coordinates and cell.

F. E. Kelvinius et al., WyckoffDiff, arXiv:2502.06485; T. Ishii et al., Symmetry-aware conditional generation of
crystal structures using diffusion models, 2025. The papers' choices and those that replace them by default are both in
:mod:`nucleate.families.wyckoffdiff.config`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from nucleate.conditions.labels import Labels, labels_of
from nucleate.conditions.request import Conditions
from nucleate.crystal.crystals import Crystals
from nucleate.diffusion.categorical import CategoricalProcess, marginal_prior, single_prior, uniform_prior
from nucleate.diffusion.noise import KeyedNoise, Noise
from nucleate.errors import UserError
from nucleate.families.base import ConditionalModel, Strengths
from nucleate.families.wyckoffdiff.autoregressive import Demand, place_orbits
from nucleate.families.wyckoffdiff.batch import OrbitBatch, replaced
from nucleate.families.wyckoffdiff.config import N_ELEMENTS, SamplerConfig, WyckoffDiffConfig
from nucleate.families.wyckoffdiff.constraints import BEST, Limits, scores_of
from nucleate.families.wyckoffdiff.plan import GroupSizes, Stoichiometries, element_counts, planned
from nucleate.families.wyckoffdiff.reverse_diffusion import reverse_diffusion
from nucleate.guidance.adapters import Adapters, ConditionEmbedding, Mix
from nucleate.guidance.classifier_free import Guided
from nucleate.networks.wyckoff_gnn import Logits, Positions, WyckoffGNN
from nucleate.representations.wyckoff import Occupations, Orbits, wyckoff_tables
from nucleate.sampling.request_plan import Request
from nucleate.search.protostructure_filling import FillSettings, fill
from nucleate.symmetry.protostructure import Protostructure, protostructures
from nucleate.symmetry.space_group import N_GROUPS
from nucleate.training.batch import TrainingBatch

EARLIEST = 1e-3
"""Smallest training time."""
WITHHELD = 0.1
"""Share of training crystals whose numbers of atoms of each element are withheld from the network."""
BATCH = 64
"""Crystals sampled together; no crystal depends on it."""


class WyckoffDiff(ConditionalModel[SamplerConfig, OrbitBatch]):
    """The family's model: process, network, and what it learned of groups, sizes, elements and labels.

    Attributes:
        group_sizes: Training crystals of space group g with n atoms at [g, n], shape (231, max_atoms + 1).
        prior_fixed, prior_counts: Limits of the noise, shapes (101,) and (max_count + 1,).
    """

    config: WyckoffDiffConfig
    group_sizes: Tensor
    prior_fixed: Tensor
    prior_counts: Tensor

    def __init__(self, config: WyckoffDiffConfig, name: str = "wyckoffdiff") -> None:
        super().__init__(config, name, N_ELEMENTS)
        self.network = WyckoffGNN(config.network)
        self.embed = ConditionEmbedding(config.conditions, config.hidden)
        self.adapters = Adapters(config.adapters, config.hidden, config.layers)
        self.stoichiometries = Stoichiometries(config.max_atoms, config.hidden) if config.stoichiometry else None
        self.register_buffer("group_sizes", torch.zeros(N_GROUPS + 1, config.max_atoms + 1))
        prior = uniform_prior if config.prior == "uniform" else single_prior
        self.register_buffer("prior_fixed", prior(N_ELEMENTS + 1))
        self.register_buffer("prior_counts", prior(config.max_count + 1))

    @property
    def processes(self) -> tuple[CategoricalProcess, CategoricalProcess]:
        """Noise of the elements on fixed positions, and of counts on free ones."""
        schedule = self.config.schedule
        return (
            CategoricalProcess(self.prior_fixed, schedule, "fixed"),
            CategoricalProcess(self.prior_counts, schedule, "counts"),
        )

    def fit(self, batch: TrainingBatch) -> OrbitBatch:
        """Take statistics from training crystals and return those crystals ready for a call.

        Crystals without a protostructure, or whose primitive cell is too large, are left out.

        Arguments:
            batch: Crystals with labels for the conditions that need them.

        Raises:
            UserError: None is left.
        """
        ready = self.prepared(batch)
        if not len(ready):
            raise UserError("training data", "no crystal with a protostructure", "crystals with a space group")
        orbits = ready.orbits
        slot = orbits.group * self.group_sizes.shape[1] + ready.labels.values["n_atoms"].long()
        counted = torch.bincount(slot, minlength=self.group_sizes.numel()).view_as(self.group_sizes)
        self.group_sizes.copy_(counted)
        self.fit_elements(orbits.numbers)
        if self.stoichiometries is not None:
            self.stoichiometries.fit(orbits.group, _composition(orbits))
        if self.config.prior == "marginal":
            self._take_marginals(orbits)
        self.fit_conditions(ready)
        return ready

    def tune(self, batch: TrainingBatch, names: Collection[str]) -> OrbitBatch:
        """Take statistics of the adapters ``names`` from tuning crystals and return those ready for a call.

        What was learned of groups, sizes and elements stays.
        """
        ready = self.prepared(batch)
        self.fit_adapters(ready, names)
        return ready

    def _take_marginals(self, orbits: Orbits) -> None:
        fixed, counts = (torch.zeros(len(prior), dtype=torch.int64) for prior in (self.prior_fixed, self.prior_counts))
        for rows in torch.arange(len(orbits.group)).split(1024):
            part = orbits[rows].occupations(N_ELEMENTS)
            fixed += torch.bincount(part.fixed[part.n_free == 0], minlength=len(fixed))
            counts += torch.bincount(part.counts[part.n_free > 0].flatten(), minlength=len(counts))
        self.prior_fixed.copy_(marginal_prior(fixed))
        self.prior_counts.copy_(marginal_prior(counts))

    def prepared(self, batch: TrainingBatch) -> OrbitBatch:
        """Crystals as a call takes them: with their orbits, and the size of their primitive cell as a label."""
        found = protostructures(batch.crystals, self.config.symprec)
        rows = [i for i, p in enumerate(found) if p is not None and self._fits(p)]
        usable = [p for i in rows if (p := found[i]) is not None]
        kept = batch[torch.tensor(rows, dtype=torch.int64)]
        n_atoms = torch.tensor([p.n_primitive for p in usable], dtype=torch.float64)
        labels = Labels.of({**kept.labels.values, "n_atoms": n_atoms})
        return OrbitBatch(kept.crystals, labels, Orbits.of(usable)).to(dtype=torch.float32)

    def _fits(self, protostructure: Protostructure) -> bool:
        most = max(protostructure.sites.count(site) for site in set(protostructure.sites))
        return protostructure.n_primitive <= self.config.max_atoms and most <= self.config.max_count

    def denoise(self, state: Occupations, t: Tensor, labels: Labels, counts: Tensor | None = None) -> Logits:
        """Logits of the clean occupations of noisy ones at times t (B,).

        Arguments:
            state: Noisy occupations.
            t: Their times, shape (B,).
            labels: What they should be.
            counts: Atoms of each element in falling order, zeros where they are withheld, shape (B, MOST_ELEMENTS).
        """
        conditioning = self._conditioning(labels, counts)
        answer: Logits = self.network(
            state.fixed, state.counts, state.group, state.multiplicity, state.n_free, t, *conditioning
        )
        return answer

    def _conditioning(self, labels: Labels, counts: Tensor | None) -> tuple[Tensor | None, Mix | None]:
        context = self.embed(labels) if self.config.conditions else None
        if self.stoichiometries is not None and counts is not None:
            further = self.stoichiometries.conditioning(counts)
            context = further if context is None else context + further
        return context, self.adapters(labels) if self.config.adapters else None

    def forward(self, batch: OrbitBatch, noise: Noise) -> dict[str, Tensor]:
        """Losses (B,) of training crystals from :meth:`fit`: of fixed positions, of counts, and their total."""
        orbits = batch.orbits
        if self.config.augment:
            count = wyckoff_tables().n_settings.to(orbits.group.device)[orbits.group]
            pick = (noise.uniform("setting", (len(batch),)) * count).long().clamp_max(count - 1)
            orbits = orbits.in_setting(pick)
        if self.config.replaced:
            orbits, labels = self._replaced(batch, orbits, noise)
        else:
            labels = batch.labels_of(self.config.conditioning)
        clean = orbits.occupations(N_ELEMENTS)
        t = EARLIEST + (1 - EARLIEST) * noise.uniform("time", (len(batch),))
        of_fixed, of_counts = self.processes
        n_free = clean.n_free
        noisy_fixed = torch.where(n_free == 0, of_fixed.corrupt(clean.fixed, t, noise), 0)
        noisy_counts = torch.where((n_free > 0)[..., None], of_counts.corrupt(clean.counts, t, noise), 0)
        labels = labels.dropped(noise, self.config.drop_each, self.config.drop_all)
        counts = element_counts(clean.composition) if self.config.stoichiometry else None
        if counts is not None:
            counts = counts * (noise.uniform("stoichiometry", (len(batch),)) >= WITHHELD)[:, None]
        positions = Positions.of(n_free)
        logits = self.network.listed(
            positions,
            noisy_fixed,
            noisy_counts,
            clean.group,
            clean.multiplicity,
            n_free,
            t,
            *self._conditioning(labels, counts),
        )
        with torch.autocast(t.device.type, enabled=False):
            parts = []
            for process, answer, true, seen, chosen in (
                (of_fixed, logits.fixed, clean.fixed, noisy_fixed, ~positions.free),
                (of_counts, logits.counts, clean.counts, noisy_counts, positions.free),
            ):
                row, place = positions.row[chosen], positions.place[chosen]
                loss = self._loss(process, answer.float(), true[row, place], seen[row, place], t[row])
                parts.append(t.new_zeros(len(t)).index_add(0, row, loss.flatten(1).sum(1) if loss.dim() > 1 else loss))
            divisor = self._divisor(clean, noisy_fixed, noisy_counts)
            fixed, counts = (part / divisor for part in parts)
        return {"total": fixed + counts, "fixed": fixed, "counts": counts}

    def _replaced(self, batch: TrainingBatch, orbits: Orbits, noise: Noise) -> tuple[Orbits, Labels]:
        """With an element replaced in some crystals, of which nothing but size and elements is known then."""
        share, crystals = self.config.replaced, batch.crystals
        numbers, sites, changed = replaced(orbits.numbers, crystals.numbers, self.element_seen, share, noise)
        now = labels_of(replace(crystals, numbers=sites), batch.labels, self.config.conditioning)
        known = ("n_atoms", "chemical_system")
        given = {name: there if name in known else there & ~changed for name, there in now.mask.items()}
        return Orbits(orbits.group, orbits.place, numbers), Labels(now.values, given)

    def _divisor(self, clean: Occupations, noisy_fixed: Tensor, noisy_counts: Tensor) -> Tensor:
        """Divisor of the losses of crystals, shape (B,)."""
        match self.config.weighting:
            case "orbits":
                return clean.n_orbits
            case "hidden":
                hidden = (noisy_fixed != clean.fixed).sum(1) + (noisy_counts != clean.counts).sum((1, 2))
                return hidden.clamp_min(1)
            case "variables":
                return _variables(clean.n_free)

    def _loss(self, process: CategoricalProcess, logits: Tensor, clean: Tensor, noisy: Tensor, t: Tensor) -> Tensor:
        if self.config.loss == "cross_entropy":
            return process.cross_entropy(logits, clean, noisy)
        # The sum over all T steps is the bound on the likelihood; one of them is drawn.
        steps = self.config.time_steps or 1000
        return steps * process.divergence(logits, clean, noisy, t, (t - 1 / steps).clamp_min(0.0))

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
            where: Conditions; ``space_group``, ``chemical_system``, ``composition`` and ``n_atoms`` are understood by
                every model, others by models that were trained on them.
            seed: Of the request.
            start: Number of the first crystal; each depends on seed and number alone.
            progress: Called with the number of crystals done.
            sampler: How to sample; the model's default if None.
            guidance: γ of every condition, dimensionless, or by name; the model's default where nothing is said.

        Raises:
            UserError: A condition that the model does not have, or that no crystal of its sizes can meet; γ below 0.
        """
        settings = sampler or self.config.sampler
        found = self.sample_protostructures(n, where, seed, start, settings, guidance)
        if n == 0:
            return Crystals.from_lists([], [], [])
        how = FillSettings(draws=settings.fill_draws, steps=settings.fill_steps)
        return fill(found, seed=seed, start=start, settings=how, progress=progress).crystals

    def sample_protostructures(
        self,
        n: int,
        where: Conditions | None = None,
        seed: int = 0,
        start: int = 0,
        sampler: SamplerConfig | None = None,
        guidance: Strengths | None = None,
    ) -> list[Protostructure]:
        """The protostructures of :meth:`sample` (γ is dimensionless); never an empty one or one of too many atoms."""
        settings, where = sampler or self.config.sampler, where or Conditions()
        request = Request.of(
            replace(where, space_group=None),
            torch.ones(self.config.max_atoms + 1),  # sizes are drawn with groups, below
            self.element_seen.cpu(),
            self.config,
            guidance=self.strengths if guidance is None else guidance,
        )
        sizes = GroupSizes.of(where, self.group_sizes.cpu())
        conditioning = request.plan(seed, start, n).conditioning
        indices = torch.arange(start, start + n)
        drawn = KeyedNoise(seed, indices, dtype=torch.float64)
        group, n_atoms, counts = planned(where, sizes, self.stoichiometries, drawn, n)
        if n == 0:
            return []
        knows_size = any(condition.name == "n_atoms" for condition in self.config.conditioning)
        if knows_size:
            conditioning.values["n_atoms"].copy_(n_atoms)
            conditioning.mask["n_atoms"].fill_(True)
        # The size is what was drawn, so the network always gets it in full.
        strengths = {**({"n_atoms": 1.0} if knows_size else {}), **request.strengths}
        most = n_atoms if knows_size else self._largest(where).expand(n)
        best: dict[int, Protostructure] = {}
        scores = torch.full((n,), -1)
        rows = torch.arange(n)
        of_fixed, of_counts = (replace(process, prior=process.prior.cpu()) for process in self.processes)
        for draw in range(settings.draws):
            for part in rows.split(BATCH):
                noise = KeyedNoise(seed, indices[part], draw=draw)
                limits = self._limits(where, request, most[part], n_atoms[part])
                labels = conditioning[part]
                labels = Labels({name: value.float() for name, value in labels.values.items()}, labels.mask)
                if settings.order == "orbits" and self.config.prior == "empty":
                    demand = self._demand(where, limits, n_atoms[part], counts[part])
                    state = self._by_orbits(settings, demand, group[part], labels, strengths, noise)
                else:
                    guided = self._guided(labels, strengths, counts[part])
                    stays = self.config.prior == "empty"
                    state = reverse_diffusion(
                        (of_fixed, of_counts), settings, limits, group[part], guided, noise, stays
                    )
                found = [_not_empty(one) for one in state.protostructures()]
                score = scores_of(state, found, where, n_atoms[part] if knows_size else None, settings.balanced)
                best.update({i: found[k] for k, i in enumerate(part.tolist()) if score[k] > scores[i]})
                scores[part] = torch.maximum(scores[part], score)
            rows = (scores < BEST).nonzero().flatten()
            if not len(rows):
                break
        return [best[i] for i in range(n)]

    def _largest(self, where: Conditions) -> Tensor:
        return torch.tensor(max(n for n in range(self.config.max_atoms + 1) if where.allows_size(n)))

    def _limits(self, where: Conditions, request: Request, most: Tensor, n_atoms: Tensor) -> Limits:
        if where.composition is None:
            return Limits(most, request.allowed.long() * most[:, None])
        elements = torch.zeros(len(most), N_ELEMENTS, dtype=torch.int64)
        unit = sum(where.composition.values())
        for z, count in where.composition.items():
            elements[:, z - 1] = count * (n_atoms // unit)
        return Limits(n_atoms, elements)

    def _demand(self, where: Conditions, limits: Limits, n_atoms: Tensor, counts: Tensor) -> Demand:
        needed = torch.zeros(N_ELEMENTS, dtype=torch.bool)
        if where.chemical_system and not where.allow_subsystems:
            needed[torch.tensor(where.chemical_system) - 1] = True
        exact = where.composition is not None
        elements = limits.elements if exact else limits.elements.clamp_max(int(n_atoms.max()))
        return Demand(n_atoms, elements, needed, exact, counts)

    def _guided(self, labels: Labels, strengths: Mapping[str, float], counts: Tensor) -> Guided[Occupations, Logits]:
        """The denoiser of a batch, also where the batch comes several times over.

        The state stays on the processor; the network's inputs go to its device and its predictions come back.
        """
        device = next(self.network.parameters()).device

        def denoiser(state: Occupations, t: Tensor, conditions: Labels) -> Logits:
            there = Occupations(*(value.to(device) for value in state))
            each = counts.repeat(len(t) // len(counts), 1).to(device)
            return Logits(*(part.cpu() for part in self.denoise(there, t.to(device), conditions.to(device), each)))

        return Guided(denoiser, labels, strengths)

    @torch.inference_mode()
    def _by_orbits(
        self,
        settings: SamplerConfig,
        demand: Demand,
        group: Tensor,
        labels: Labels,
        strengths: Mapping[str, float],
        noise: KeyedNoise,
    ) -> Occupations:
        def denoiser(state: Occupations, t: Tensor, rows: Tensor) -> Logits:
            own = labels[rows]
            return self._guided(own, strengths, demand.counts[rows])(state, t)

        return place_orbits(denoiser, demand, group, noise, settings.temperature)


def _not_empty(found: Protostructure | None) -> Protostructure:
    if found is None:
        raise RuntimeError("sampling ended without an occupied position")
    return found


def _composition(orbits: Orbits) -> Tensor:
    """Atoms of each element in the primitive cell, shape (B, E)."""
    rows = torch.arange(len(orbits.group)).split(1024)
    parts = (orbits[k].occupations(N_ELEMENTS) for k in rows)
    return torch.cat([part.composition for part in parts])


def _variables(n_free: Tensor) -> Tensor:
    return (n_free == 0).sum(1) + N_ELEMENTS * (n_free > 0).sum(1)
