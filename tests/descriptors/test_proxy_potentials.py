"""The pair potentials: smooth, repulsive, zero at the cutoff; their file is checked when it is read."""

import math

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from nucleate.crystal.elements import NUMBERS
from nucleate.descriptors.element_tables import N_PAIRS, pair_rows
from nucleate.descriptors.proxy_potentials import CORE_HEIGHT, CUTOFF, STEP, TAPER_START, PotentialTable, nodes
from nucleate.descriptors.spp import shipped_table
from nucleate.errors import UserError


def row_of(a: str, b: str) -> int:
    return int(pair_rows(torch.tensor(NUMBERS[a]), torch.tensor(NUMBERS[b])))


def slope(table: PotentialTable, rows: torch.Tensor, r: torch.Tensor, h: float = 1e-6) -> torch.Tensor:
    return (table.energies(rows, r + h) - table.energies(rows, r - h)) / (2 * h)


@pytest.fixture(scope="module")
def table() -> PotentialTable:
    return shipped_table()


def test_values_at_the_nodes_are_the_stored_ones(table: PotentialTable) -> None:
    row = row_of("O", "Ti")
    index = int((table.rows == row).nonzero())
    r = nodes()[(nodes() > 2.5) & (nodes() <= TAPER_START)]
    stored = table.curves[index][(nodes() > 2.5) & (nodes() <= TAPER_START)]
    torch.testing.assert_close(table.energies(torch.full(r.shape, row), r), stored, rtol=0, atol=1e-9)


def test_every_pair_is_smooth_everywhere(table: PotentialTable) -> None:
    """Value and slope agree from both sides of every node, of the join, and where the taper starts and ends."""
    rows = torch.arange(N_PAIRS)
    h = 1e-5
    for r in [*(nodes()[table.joins]), *nodes()[::7], torch.tensor(TAPER_START), torch.tensor(CUTOFF)][:400:9]:
        at = r.double().expand(N_PAIRS)
        left, right = table.energies(rows, at - h), table.energies(rows, at + h)
        scale = 1 + left.abs()
        assert ((left - right).abs() / scale < 0.01).all()
        before, after = slope(table, rows, at - h), slope(table, rows, at + h)
        assert ((before - after).abs() / (1 + before.abs()) < 0.02).all()


def test_the_core_meets_the_curve_in_value_and_slope(table: PotentialTable) -> None:
    rows = torch.arange(N_PAIRS)
    join = nodes()[table.joins]
    h = 1e-7
    torch.testing.assert_close(table.energies(rows, join - h), table.energies(rows, join + h), rtol=0, atol=1e-4)
    before, after = slope(table, rows, join - 1e-5), slope(table, rows, join + 1e-5)
    torch.testing.assert_close(before, after, rtol=2e-3, atol=2e-2)


def test_the_core_only_falls_and_is_high_where_atoms_coincide(table: PotentialTable) -> None:
    r = torch.linspace(0, 1, 50, dtype=torch.float64)
    join = nodes()[table.joins]
    energies = table.energies(torch.arange(N_PAIRS)[:, None].expand(-1, 50), join[:, None] * r)
    assert (energies.diff(dim=1) < 0).all()
    assert (energies[:, 0] > 0.99 * CORE_HEIGHT).all()


def test_zero_from_the_cutoff_on(table: PotentialTable) -> None:
    rows = torch.arange(N_PAIRS)
    for r in (CUTOFF, CUTOFF + 0.3, 50.0):
        assert (table.energies(rows, torch.full((N_PAIRS,), r, dtype=torch.float64)) == 0).all()


def test_the_core_is_the_published_form(table: PotentialTable) -> None:
    """A exp(-r/ρ) - c through two points gives the ρ that predicts a third."""
    row = torch.tensor([row_of("Na", "Ti")])
    points = torch.tensor([0.3, 0.6, 0.9], dtype=torch.float64)
    u = table.energies(row.expand(3), points).tolist()
    # With A known, x = exp(-0.3/ρ) solves A (x - x²) = u1 - u2; then u2 - u3 = A (x² - x³).
    difference = (u[0] - u[1]) / CORE_HEIGHT
    candidates = [(1 + s * math.sqrt(max(0.0, 1 - 4 * difference))) / 2 for s in (1, -1)]
    assert any(math.isclose(u[1] - u[2], CORE_HEIGHT * (x**2 - x**3), rel_tol=1e-6) for x in candidates)


def test_bonds_are_wells_at_known_lengths(table: PotentialTable) -> None:
    r = torch.arange(1.0, 6.0, 0.01, dtype=torch.float64)
    for a, b, length in (("O", "Ti", 1.96), ("Cl", "Na", 2.82), ("O", "Si", 1.63), ("O", "P", 1.54)):
        u = table.energies(torch.full(r.shape, row_of(a, b)), r)
        assert abs(float(r[u.argmin()]) - length) < 0.12, (a, b)
        assert u.min() < -0.5


def test_a_file_comes_back_as_it_was(table: PotentialTable, tmp_path) -> None:
    table.save(tmp_path / "t.safetensors")
    again = PotentialTable.load(tmp_path / "t.safetensors")
    for name in ("curves", "rows", "joins", "classes", "samples"):
        assert torch.equal(getattr(table, name), getattr(again, name)), name
    assert again.thresholds == table.thresholds
    assert again.details == table.details
    assert (tmp_path / "t.safetensors").stat().st_size < 700_000


def test_the_shipped_table_says_where_it_comes_from(table: PotentialTable) -> None:
    assert "Materials Project" in table.details["origin"]
    assert "CC BY 4.0" in table.details["origin"]
    assert len(table.details["source_sha256"]) == 64
    assert set(table.thresholds) == {"minimum", "all"}


def test_a_changed_or_foreign_file_is_refused(table: PotentialTable, tmp_path) -> None:
    path = tmp_path / "t.safetensors"
    table.save(path)
    with safe_open(path, "pt") as file:
        header = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    tensors["curves"][0, 0] += 1
    save_file(tensors, path, header)
    with pytest.raises(UserError, match="SHA-256"):
        PotentialTable.load(path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(UserError, match="format"):
        PotentialTable.load(path)
    save_file({"a": torch.zeros(1)}, path, header)
    with pytest.raises(UserError, match="tensors"):
        PotentialTable.load(path)
    path.write_bytes(b"\x00" * 20)
    with pytest.raises(UserError, match="no readable table"):
        PotentialTable.load(path)
    with pytest.raises(UserError, match="no readable table"):
        PotentialTable.load(tmp_path / "missing")


def test_grid_reaches_the_cutoff() -> None:
    assert float(nodes()[-1]) == pytest.approx(CUTOFF)
    torch.testing.assert_close(nodes().diff(), torch.full_like(nodes()[1:], STEP))
