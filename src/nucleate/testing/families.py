"""The laws of a family of generative models; ``check_family(spec)`` puts a family through all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import gcd
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from nucleate.conditions.request import Conditions
from nucleate.crystal.crystals import Crystals
from nucleate.diffusion.noise import KeyedNoise
from nucleate.errors import UserError
from nucleate.families.base import FamilySpec, GenerativeModel, sampler_from
from nucleate.testing import hold, refused
from nucleate.training.batch import TrainingBatch
from nucleate.training.export import ModelFacts, write_model
from nucleate.training.model import Overrides

TOLERANCE = 1e-4
"""Room for the rounding of single precision in Å and fractions of a cell; losses get ten times that, relatively."""


def salts(size: int = 24) -> TrainingBatch:
    """Caesium-chloride cells of 2 sites and rocksalt cells of 8, of Li, Na, Mg with O, F, with labels.

    The labels ``formation_energy`` (eV/atom) and ``saturation_magnetization`` (T) are made-up numbers.
    """
    corners = [[0.0, 0.0, 0.0], [0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [0.5, 0.5, 0.0]]
    others = [[(x + 0.5) % 1 for x in corner] for corner in corners]
    numbers, frac, lattice = [], [], []
    for i in range(size):
        metal, anion = (3, 11, 12)[i % 3], (8, 9)[i % 2]
        edge = 3.5 + 0.5 * (i * 7 % size) / size
        large = i % 4 == 0
        numbers.append([metal] * 4 + [anion] * 4 if large else [metal, anion])
        frac.append(corners + others if large else [[0.0] * 3, [0.5] * 3])
        lattice.append(torch.eye(3, dtype=torch.float64) * (edge + large))
    place = torch.arange(size, dtype=torch.float64)
    labels = {"formation_energy": -place / size, "saturation_magnetization": place * 5 % 7 / 7}
    return TrainingBatch.of(Crystals.from_lists(numbers, frac, lattice), labels)


@dataclass(frozen=True)
class FamilyCase:
    """A family with a model that has seen some crystals.

    Attributes:
        spec: The family.
        model: Fitted and finished, but hardly trained: laws hold whatever the weights are.
        train: The crystals that it was fitted to, ready for a call.
        data: The same before :meth:`fit`.
    """

    spec: FamilySpec
    model: GenerativeModel
    train: TrainingBatch
    data: TrainingBatch

    @classmethod
    def of(cls, spec: FamilySpec, data: TrainingBatch | None = None, overrides: Overrides | None = None) -> FamilyCase:
        """A case of a family.

        Arguments:
            spec: The family.
            data: To fit; :func:`salts` by default. Laws of losses want crystals with every label.
            overrides: Settings, such as those of a small network.
        """
        data = salts() if data is None else data
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model: GenerativeModel = spec.build(overrides, "checked").eval()
            train = model.fit(data)
            model.finished(train)
        return cls(spec, model.eval(), train, data)

    def losses(self, rows: Tensor) -> dict[str, Tensor]:
        """Losses (K,) of some training crystals (K,), each with its own random numbers."""
        with torch.no_grad():
            found: dict[str, Tensor] = self.model(self.train[rows], KeyedNoise(0, rows))
        return found


def losses_are_finite_and_per_crystal(case: FamilyCase) -> None:
    """Each loss is a finite number a crystal, "total" among them, and gradients of the total are finite."""
    losses = case.model(case.train, KeyedNoise(0, torch.arange(len(case.train))))
    hold("total" in losses, "no loss is called total")
    for name, value in losses.items():
        hold(value.shape == (len(case.train),), f"loss {name} has shape {tuple(value.shape)}, not one number a crystal")
        hold(value.isfinite().all(), f"loss {name} is not finite")
    losses["total"].mean().backward()
    wrong = [n for n, p in case.model.named_parameters() if p.grad is not None and not p.grad.isfinite().all()]
    case.model.zero_grad()
    hold(not wrong, f"gradients that are not finite: {', '.join(wrong)}")


def losses_do_not_depend_on_batch_mates(case: FamilyCase) -> None:
    """A crystal's losses are the same in another order, and beside fewer or smaller crystals."""
    n = len(case.train)
    whole = case.losses(torch.arange(n))
    for rows in (torch.arange(n).flip(0), torch.arange(1, n, 4)):
        for name, value in case.losses(rows).items():
            near = torch.isclose(value, whole[name][rows], atol=TOLERANCE, rtol=10 * TOLERANCE)
            hold(near.all(), f"loss {name} depends on the other crystals of the batch or their order")


def preparing_changes_no_statistics(case: FamilyCase) -> None:
    """Crystals to validate with leave the model as it was."""
    before = {name: value.clone() for name, value in case.model.state_dict().items()}
    config = case.model.config
    case.model.prepared(case.data[torch.tensor([0])])
    after = case.model.state_dict()
    hold(all(_same(after[name], value) for name, value in before.items()), "prepared() changes the model's state")
    hold(case.model.config == config, "prepared() changes the configuration")


def equal_seeds_give_equal_crystals(case: FamilyCase) -> None:
    """The same request gives the same bytes, another seed other crystals."""
    first, again, other = (case.model.sample(4, seed=seed) for seed in (3, 3, 4))
    hold(_equal(first, again), "two samples of one seed differ")
    hold(not _equal(first, other), "samples of two seeds are equal")


def a_crystal_depends_on_seed_and_number_alone(case: FamilyCase) -> None:
    """Crystals asked for in parts are those asked for together, whatever the parts."""
    whole = case.model.sample(6, seed=5)
    for sizes in ((2, 4), (3, 1, 2)):
        starts = [sum(sizes[:i]) for i in range(len(sizes))]
        parts = [case.model.sample(size, seed=5, start=start) for size, start in zip(sizes, starts, strict=True)]
        hold(_close(whole, Crystals.concatenate(parts)), f"crystals asked for in parts of {sizes} are others")


def samples_are_crystals(case: FamilyCase) -> None:
    """As many as asked for, none if none, in double precision, with coordinates in the cell and no stray numbers."""
    found = case.model.sample(5, seed=1)
    hold(len(found) == 5, f"{len(found)} crystals where 5 were asked for")
    hold(found.frac.dtype == found.lattice.dtype == torch.float64, "crystals are not in double precision")
    hold(((found.frac >= 0) & (found.frac < 1)).all(), "coordinates lie outside of 0 to 1")
    hold(torch.equal(found.numbers > 0, found.mask), "atomic numbers do not go with the numbers of sites")
    hold(len(case.model.sample(0)) == 0, "crystals where none was asked for")


def progress_counts_crystals(case: FamilyCase) -> None:
    """Numbers that never fall and end with that of all crystals."""
    seen: list[int] = []
    case.model.sample(5, progress=seen.append)
    hold(seen and seen[-1] == 5 and seen == sorted(seen), f"progress said {seen} of 5 crystals")


REQUESTS = ("chemical_system=Li-O", "composition=NaF", "n_atoms=2", "n_atoms=1..8")


def requests_are_met_or_refused(case: FamilyCase) -> None:
    """Every crystal meets what the family says it meets; any other request is met or refused."""
    for text in REQUESTS:
        where = Conditions.parse([text])
        try:
            found = case.model.sample(5, where, seed=2)
        except UserError as error:
            hold(error.where == "--where", f"{text} is refused with the message {error}")
            continue
        if text.partition("=")[0] in case.spec.exact:
            wrong = [i for i in range(5) if not _meets(where, found.sites(i)[0].tolist())]
            hold(not wrong, f"{text} is not met by crystals {wrong}")


def what_is_not_known_is_refused(case: FamilyCase) -> None:
    """Quantities that the model was not trained on, elements that it has not seen, sizes that it cannot make."""
    for text in ("softness=3", "chemical_system=Xe-Rn", f"n_atoms={case.model.config.max_atoms + 1}"):
        where = Conditions.parse([text])
        refused(lambda request=where: case.model.sample(1, request), text)  # type: ignore[misc]


def a_folder_gives_the_same_crystals(case: FamilyCase) -> None:
    """Saved and read back, the model gives the same crystals."""
    config = case.model.config.model_dump(mode="json")
    facts = ModelFacts(case.spec.name, "saved", "a model that is checked", config)
    with TemporaryDirectory() as folder:
        write_model(Path(folder), case.model.state_dict(), facts)
        back = case.spec.load(Path(folder))
        hold(back.name == "saved", f"a model saved as saved is read back as {back.name}")
        hold(back.config == case.model.config, "a configuration read back is another")
        hold(_equal(back.sample(3, seed=6), case.model.sample(3, seed=6)), "a model read back gives other crystals")


def settings_are_checked(case: FamilyCase) -> None:
    """Every preset is complete; unknown settings and settings of the sampler are refused, its own are accepted."""
    spec, sampler = case.spec, case.model.config.sampler
    for name in spec.presets:
        spec.configured({"preset": name})
    refused(lambda: spec.configured({"no_such_setting": 1}), "an unknown setting")
    refused(lambda: sampler_from("no_such_setting=1", sampler, spec.paper_sampler), "an unknown setting of the sampler")
    hold(sampler_from("default", sampler, spec.paper_sampler) == sampler, "the sampler default is not the model's")
    for name, value in sampler:
        if isinstance(value, int | float | str):
            same = sampler_from(f"{name}={value}", sampler, spec.paper_sampler)
            hold(same == sampler, f"{name}={value} changes the sampler that has it already")


LAWS: tuple[Callable[[FamilyCase], None], ...] = (
    losses_are_finite_and_per_crystal,
    losses_do_not_depend_on_batch_mates,
    preparing_changes_no_statistics,
    equal_seeds_give_equal_crystals,
    a_crystal_depends_on_seed_and_number_alone,
    samples_are_crystals,
    progress_counts_crystals,
    requests_are_met_or_refused,
    what_is_not_known_is_refused,
    a_folder_gives_the_same_crystals,
    settings_are_checked,
)
"""All laws of a family."""


def check_family(spec: FamilySpec, data: TrainingBatch | None = None, overrides: Overrides | None = None) -> None:
    """Put a family through all laws; see :meth:`FamilyCase.of` for the arguments.

    Raises:
        BrokenLawError: A law does not hold.
    """
    case = FamilyCase.of(spec, data, overrides)
    for law in LAWS:
        law(case)


def _equal(first: Crystals, second: Crystals) -> bool:
    pairs = ((getattr(first, k), getattr(second, k)) for k in ("numbers", "frac", "lattice", "n_atoms"))
    return all(_same(a, b) for a, b in pairs)


def _same(first: Tensor, second: Tensor) -> bool:
    """Whether two tensors are equal, where missing values are equal to each other."""
    return torch.equal(first.nan_to_num(-1), second.nan_to_num(-1))


def _close(first: Crystals, second: Crystals) -> bool:
    if first.numbers.shape != second.numbers.shape or not torch.equal(first.numbers, second.numbers):
        return False
    away = first.frac - second.frac
    cells = torch.isclose(first.lattice, second.lattice, atol=10 * TOLERANCE, rtol=TOLERANCE, equal_nan=True)
    return bool((away - away.round()).abs().amax() <= TOLERANCE) and bool(cells.all())


def _meets(where: Conditions, numbers: Sequence[int]) -> bool:
    """Whether the atomic numbers of a crystal are exactly what was asked for."""
    counts = {z: numbers.count(z) for z in set(numbers)}
    if where.composition is not None:
        unit = gcd(*counts.values()) if counts else 1
        asked = gcd(*where.composition.values())
        return {z: n // unit for z, n in counts.items()} == {z: n // asked for z, n in where.composition.items()}
    if where.chemical_system is not None:
        return set(counts) == set(where.chemical_system)
    return where.allows_size(len(numbers))
