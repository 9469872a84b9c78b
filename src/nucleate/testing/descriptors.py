"""The laws of a descriptor; ``check_descriptor(descriptor)`` puts a descriptor through all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from nucleate.crystal.crystals import Crystals
from nucleate.descriptors.registry import Descriptor
from nucleate.testing import hold
from nucleate.testing.potentials import metals

RELATIVE, ABSOLUTE = 1e-5, 1e-7


def broken() -> Crystals:
    """Crystals without meaning: a coordinate that is no number, an infinite one, no volume, no atom."""
    cube = 4.0 * torch.eye(3, dtype=torch.float64)
    none = [[0.0] * 3]
    return Crystals.from_lists(
        [[29], [29], [29], []],
        [torch.tensor([[float("nan"), 0, 0]]), torch.tensor([[float("inf"), 0, 0]]), none, torch.zeros(0, 3)],
        [cube, cube, 0 * cube, cube],
    )


@dataclass(frozen=True)
class DescriptorCase:
    """A descriptor with B crystals, and its values of shape (B,)."""

    descriptor: Descriptor
    crystals: Crystals
    values: Tensor

    def same(self, others: Crystals, text: str) -> None:
        """Hold that other descriptions of the crystals have their values.

        Raises:
            BrokenLawError: One has another.
        """
        found = self.descriptor.function(others)
        close = torch.isclose(found, self.values, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True)
        hold(bool(close.all()), f"{self.descriptor.name}: {text}")


def a_number_each(case: DescriptorCase) -> None:
    """Values are float64 of shape (B,), never infinite; no crystals have none."""
    name, values = case.descriptor.name, case.values
    hold(values.shape == (len(case.crystals),), f"{name}: not one value a crystal")
    hold(values.dtype == torch.float64 and not values.isinf().any(), f"{name}: values that are not finite float64")
    hold(case.descriptor.function(case.crystals[:0]).shape == (0,), f"{name}: no crystals have values")


def batch_equals_single(case: DescriptorCase) -> None:
    """A crystal has the same value alone and beside others."""
    for i in range(len(case.crystals)):
        alone = DescriptorCase(case.descriptor, case.crystals[i : i + 1], case.values[i : i + 1])
        alone.same(alone.crystals, "values alone and in a batch differ")


def order_of_sites(case: DescriptorCase) -> None:
    """The order of the sites changes nothing."""
    case.same(_described(case.crystals, lambda z, x, a: (z.flip(0), x.flip(0), a)), "the order of the sites counts")


def origin(case: DescriptorCase) -> None:
    """Another origin changes nothing, wherever sites leave the cell."""
    shift = torch.tensor([0.3, -0.2, 0.9], dtype=torch.float64)
    case.same(_described(case.crystals, lambda z, x, a: (z, x + shift, a)), "the origin counts")


def choice_of_cell(case: DescriptorCase) -> None:
    """Another basis of the same lattice changes nothing."""
    basis = torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, -1.0, 1.0]], dtype=torch.float64)
    back = torch.linalg.inv(basis)
    case.same(_described(case.crystals, lambda z, x, a: (z, x @ back, basis @ a)), "the choice of the cell counts")


def orientation(case: DescriptorCase) -> None:
    """A rotation changes nothing."""
    noise = torch.randn(3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rotation = torch.linalg.qr(noise)[0]
    case.same(_described(case.crystals, lambda z, x, a: (z, x, a @ rotation)), "the orientation counts")


def broken_crystals_leave_others_alone(case: DescriptorCase) -> None:
    """A crystal without meaning has a finite value or none, and its neighbours in the batch keep theirs."""
    bad = broken()
    found = case.descriptor.function(Crystals.concatenate([bad, case.crystals, bad]))
    b = len(bad)
    kept = torch.isclose(found[b:-b], case.values, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True)
    hold(bool(kept.all()), f"{case.descriptor.name}: broken crystals change the values of others")
    hold(not found.isinf().any(), f"{case.descriptor.name}: infinite for a broken crystal")
    hold(bool(found[b - 1].isnan()), f"{case.descriptor.name}: a value for a crystal without atoms")


LAWS: tuple[Callable[[DescriptorCase], None], ...] = (
    a_number_each,
    batch_equals_single,
    order_of_sites,
    origin,
    choice_of_cell,
    orientation,
    broken_crystals_leave_others_alone,
)
"""Every law of a descriptor; each raises :class:`nucleate.testing.BrokenLawError` where it does not hold."""


def check_descriptor(descriptor: Descriptor, crystals: Crystals | None = None) -> None:
    """Put a descriptor through all laws.

    Arguments:
        descriptor: Under test.
        crystals: B crystals that it has values of; :func:`nucleate.testing.potentials.metals` by default.

    Raises:
        BrokenLawError: A law does not hold.
    """
    given = metals() if crystals is None else crystals
    case = DescriptorCase(descriptor, given, descriptor.function(given))
    for law in LAWS:
        law(case)


def _described(
    crystals: Crystals, other: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]
) -> Crystals:
    """Each crystal in another description, made from numbers (n,), coordinates (n, 3) and lattice (3, 3)."""
    numbers, frac, lattice = zip(*(other(*crystals.sites(i)) for i in range(len(crystals))), strict=True)
    return Crystals.from_lists(numbers, frac, lattice)
