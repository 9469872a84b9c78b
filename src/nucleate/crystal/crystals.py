"""The batched container of crystals: dense, padded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from nucleate.errors import UserError


@dataclass(frozen=True)
class Crystals:
    """A batch of B crystals of at most N sites each.

    Rows of ``lattice`` are the lattice vectors (the convention of pymatgen and ASE), so Cartesian
    positions are ``frac @ lattice``. Padded sites have number 0 and coordinates 0.

    Attributes:
        numbers: Atomic numbers, shape (B, N), int64; 0 marks padding, which follows the real sites.
        frac: Fractional coordinates in [0, 1), shape (B, N, 3).
        lattice: Lattice vectors as rows in Å, shape (B, 3, 3).
        n_atoms: Number of real sites, shape (B,), int64.
        crystal_fields: Values of each crystal by name, shape (B, ...), that say how a sampler or a search came to it; a
            caller may read them.

    Raises:
        UserError: A shape does not fit the others.
    """

    numbers: Tensor
    frac: Tensor
    lattice: Tensor
    n_atoms: Tensor
    crystal_fields: Mapping[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        b, n = self.numbers.shape
        expected = {"frac": (b, n, 3), "lattice": (b, 3, 3), "n_atoms": (b,)}
        for name, shape in expected.items():
            found = tuple(getattr(self, name).shape)
            if found != shape:
                raise UserError(f"Crystals.{name}", f"shape {found}", f"shape {shape}")
        for name, value in self.crystal_fields.items():
            if value.shape[0] != b:
                raise UserError(f"crystal field {name}", f"shape {tuple(value.shape)}", f"({b}, ...)")

    @classmethod
    def from_lists(
        cls,
        numbers: Sequence[Sequence[int] | Tensor],
        frac: Sequence[Sequence[Sequence[float]] | Tensor],
        lattice: Sequence[Sequence[Sequence[float]] | Tensor] | Tensor,
        dtype: torch.dtype = torch.float64,
    ) -> Crystals:
        """Pad B crystals of different sizes into one batch; coordinates are wrapped into [0, 1).

        Arguments:
            numbers: Atomic numbers of each crystal, shape (n,).
            frac: Fractional coordinates of each, shape (n, 3).
            lattice: Cells as rows in Å, shape (B, 3, 3).
            dtype: Of coordinates and cells.
        """
        counts = [len(row) for row in numbers]
        n_max = max(counts, default=0)
        z = torch.zeros(len(counts), n_max, dtype=torch.int64)
        x = torch.zeros(len(counts), n_max, 3, dtype=dtype)
        for i, (row, positions) in enumerate(zip(numbers, frac, strict=True)):
            z[i, : counts[i]] = torch.as_tensor(row, dtype=torch.int64)
            x[i, : counts[i]] = torch.as_tensor(positions, dtype=dtype).reshape(-1, 3)
        cells = [torch.as_tensor(cell, dtype=dtype) for cell in lattice]
        cell = torch.stack(cells) if cells else torch.zeros(0, 3, 3, dtype=dtype)
        return cls(z, wrap(x), cell, torch.tensor(counts, dtype=torch.int64))

    @classmethod
    def concatenate(cls, batches: Sequence[Crystals]) -> Crystals:
        """Stack batches in order, padding to the largest; only fields that all of them have are kept."""
        if not batches:
            return cls.from_lists([], [], [])
        n_max = max(b.numbers.shape[1] for b in batches)
        padded = [b.padded(n_max) for b in batches]
        crystal = set.intersection(*(set(b.crystal_fields) for b in batches))
        return cls(
            torch.cat([b.numbers for b in padded]),
            torch.cat([b.frac for b in padded]),
            torch.cat([b.lattice for b in padded]),
            torch.cat([b.n_atoms for b in padded]),
            {k: torch.cat([b.crystal_fields[k] for b in padded]) for k in sorted(crystal)},
        )

    def __len__(self) -> int:
        return self.numbers.shape[0]

    def __getitem__(self, index: int | slice | Sequence[int] | Tensor) -> Crystals:
        """A sub-batch, trimmed to its own largest crystal."""
        if isinstance(index, int):
            index = [index]
        if not isinstance(index, slice):
            index = torch.as_tensor(index)
            if index.dtype != torch.bool:
                index = index.to(torch.int64)
        n_atoms = self.n_atoms[index]
        n_max = int(n_atoms.max()) if len(n_atoms) else 0
        return Crystals(
            self.numbers[index][:, :n_max],
            self.frac[index][:, :n_max],
            self.lattice[index],
            n_atoms,
            {k: v[index] for k, v in self.crystal_fields.items()},
        )

    def __iter__(self) -> Iterator[Crystals]:
        """Batches of one crystal each, in order."""
        return (self[i] for i in range(len(self)))

    @property
    def mask(self) -> Tensor:
        """True on real sites, shape (B, N)."""
        return torch.arange(self.numbers.shape[1], device=self.numbers.device) < self.n_atoms[:, None]

    @property
    def volume(self) -> Tensor:
        """Cell volumes in Å³, shape (B,); always positive, whatever the handedness."""
        return torch.linalg.det(self.lattice).abs()

    @property
    def cart(self) -> Tensor:
        """Cartesian positions in Å, shape (B, N, 3)."""
        return self.frac @ self.lattice

    def sites(self, i: int) -> tuple[Tensor, Tensor, Tensor]:
        """Numbers (n,), fractional coordinates (n, 3) and lattice (3, 3) of crystal i, without padding."""
        n = int(self.n_atoms[i])
        return self.numbers[i, :n], self.frac[i, :n], self.lattice[i]

    def padded(self, n_max: int) -> Crystals:
        """The same crystals with the site axis grown to ``n_max``."""
        extra = n_max - self.numbers.shape[1]
        if extra == 0:
            return self

        def grow(value: Tensor) -> Tensor:
            return torch.cat([value, value.new_zeros(value.shape[0], extra, *value.shape[2:])], dim=1)

        return replace(self, numbers=grow(self.numbers), frac=grow(self.frac))

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Crystals:
        """Move to a device and, for the floating-point fields, to a precision."""

        def move(value: Tensor) -> Tensor:
            return value.to(device=device, dtype=dtype if value.is_floating_point() else None)

        return Crystals(
            move(self.numbers),
            move(self.frac),
            move(self.lattice),
            move(self.n_atoms),
            {k: move(v) for k, v in self.crystal_fields.items()},
        )


def wrap(frac: Tensor) -> Tensor:
    """Fractional coordinates in [0, 1), any shape; a tiny negative value becomes 0, not 1."""
    wrapped = torch.remainder(frac, 1.0)
    return torch.where(wrapped >= 1.0, torch.zeros_like(wrapped), wrapped)
