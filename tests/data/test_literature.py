"""Every literature entry is what it says it is: space group, formula, distances, density, source."""

from functools import cache, reduce
from math import gcd

import moyopy
import numpy as np
import pandas as pd
import pytest
import torch

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.elements import COVALENT_RADII, MASSES, NOBLE_GASES, NUMBERS, SYMBOLS, parse_formula
from nucleate.data.literature import load_literature


@cache
def literature() -> tuple[Crystals, pd.DataFrame]:
    return load_literature()


def reduced(counts: dict[int, int]) -> dict[int, int]:
    divisor = reduce(gcd, counts.values())
    return {z: n // divisor for z, n in sorted(counts.items())}


def composition(numbers: torch.Tensor) -> dict[int, int]:
    z, n = torch.unique(numbers, return_counts=True)
    return reduced(dict(zip(z.tolist(), n.tolist(), strict=True)))


def nearest_ratio(numbers: torch.Tensor, frac: torch.Tensor, lattice: torch.Tensor) -> float:
    """Smallest distance over the sum of covalent radii, by brute force over images."""
    shifts = torch.cartesian_prod(*[torch.arange(-2.0, 3.0, dtype=frac.dtype)] * 3)
    offsets = (frac[:, None, None] - frac[None, :, None] + shifts) @ lattice
    distance = offsets.norm(dim=-1)
    distance[distance < 1e-8] = torch.inf
    radii = torch.tensor(COVALENT_RADII, dtype=frac.dtype)[numbers]
    return float((distance / (radii[:, None, None] + radii[None, :, None])).min())


def test_table_and_batch_agree() -> None:
    crystals, table = literature()
    assert len(crystals) == len(table)
    assert table["id"].is_unique
    assert table["n_atoms"].tolist() == crystals.n_atoms.tolist()
    assert table["source"].str.len().gt(20).all()
    assert (~table["formula"].map(lambda f: len(parse_formula(f)) == 1)).sum() >= 280


@pytest.mark.parametrize("symprec", [0.01, 0.1])
def test_space_groups_are_the_entered_ones(symprec: float) -> None:
    crystals, table = literature()
    wrong = []
    for i, row in enumerate(table.itertuples()):
        z, x, cell = crystals.sites(i)
        found = moyopy.MoyoDataset(moyopy.Cell(cell.tolist(), x.tolist(), z.tolist()), symprec=symprec)
        if found.number != row.space_group or len(found.prim_std_cell.numbers) != len(z):
            wrong.append((row.id, row.space_group, found.number))
    assert not wrong


def test_formulas_are_the_entered_ones() -> None:
    crystals, table = literature()
    wrong = [
        row.id
        for i, row in enumerate(table.itertuples())
        if composition(crystals.sites(i)[0]) != reduced(parse_formula(row.formula))
    ]
    assert not wrong


def test_no_atoms_are_too_close_or_isolated() -> None:
    crystals, table = literature()
    ratios = {row.id: nearest_ratio(*crystals.sites(i)) for i, row in enumerate(table.itertuples())}
    inert = {f"lit-{SYMBOLS[z]}-{group}" for z in NOBLE_GASES for group in ("225-fcc", "194-hcp")}
    wrong = {
        key: round(ratio, 3) for key, ratio in ratios.items() if ratio < 0.6 or (ratio > 1.35 and key not in inert)
    }
    assert not wrong


def test_densities_are_plausible() -> None:
    crystals, table = literature()
    mass = torch.tensor(MASSES, dtype=torch.float64)[crystals.numbers].sum(dim=1)
    density = mass / crystals.volume * 1.66053907
    lightest, heaviest = table["id"][int(density.argmin())], table["id"][int(density.argmax())]
    assert (lightest, heaviest) == ("lit-H2-205-alpha-N2", "lit-Os-194-hcp")
    assert float(density.max()) == pytest.approx(22.59, rel=0.01)
    assert float(density.min()) == pytest.approx(0.089, rel=0.05)


def test_every_element_has_a_crystal() -> None:
    _, table = literature()
    elements = {z for formula in table["formula"] if len(counts := parse_formula(formula)) == 1 for z in counts}
    assert elements == set(range(1, 95)) - {NUMBERS["At"], NUMBERS["Rn"], NUMBERS["Fr"]}


@pytest.mark.parametrize(
    ("key", "density"),
    [
        # textbook densities at ambient conditions in g/cm3
        ("lit-NaCl-225-rocksalt", 2.165),
        ("lit-TiO2-136-rutile", 4.25),
        ("lit-Al2O3-167-corundum", 3.99),
        ("lit-Si-227-diamond", 2.329),
        ("lit-Mn-217-alpha-Mn", 7.44),
        ("lit-U-63-alpha-U", 19.05),
        ("lit-S-70-alpha-S", 2.07),
        ("lit-GaAs-216-zinc_blende", 5.317),
    ],
)
def test_densities_of_textbooks(key: str, density: float) -> None:
    crystals, table = literature()
    i = table.index[table["id"] == key][0]
    z, _, cell = crystals.sites(i)
    mass = sum(MASSES[n] for n in z.tolist())
    found = mass / abs(np.linalg.det(cell.numpy())) * 1.66053907
    assert found == pytest.approx(density, rel=0.01)
