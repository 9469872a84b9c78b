"""Laws of filling: labels, seeds, batches, distances; and known crystals found."""

import numpy as np
import pytest
import torch

from nucleate.errors import UserError
from nucleate.search.protostructure_filling import FillSettings, fill
from nucleate.symmetry.protostructure import Protostructure, protostructures

LABELS = (
    "A2BC4_cF56_227_c_b_e:Al-Mg-O",
    "A2B_tP6_136_f_a:O-Ti",
    "A3BC_cP5_221_c_a_b:O-Sr-Ti",
    "A3BC_oP20_62_cd_c_a:O-Ca-Ti".replace("O-Ca-Ti", "O-Sc-V"),
    "AB_hP4_186_b_b:S-Zn",
    "AB2_mP12_14_e_2e:O-Zr".replace("AB2", "A2B").replace("_e_2e", "_2e_e"),
)
FAST = FillSettings(draws=6, steps=12)


@pytest.fixture(scope="module")
def asked() -> list[Protostructure]:
    return [Protostructure.parse(label) for label in LABELS]


def test_crystals_carry_exactly_the_label(asked: list[Protostructure]) -> None:
    filled = fill(asked, settings=FAST)
    assert filled.crystals.crystal_fields["carries_label"].all()
    assert [found and found.label for found in protostructures(filled.crystals)] == [one.label for one in asked]
    assert filled.crystals.n_atoms.tolist() == [one.n_primitive for one in asked]


def test_same_seed_same_bytes_other_seed_other_crystals(asked: list[Protostructure]) -> None:
    first, again, other = (fill(asked[3:5], seed=seed, settings=FAST).crystals for seed in (1, 1, 2))
    assert torch.equal(first.frac, again.frac)
    assert torch.equal(first.lattice, again.lattice)
    assert not torch.equal(first.frac, other.frac)


def test_a_crystal_does_not_depend_on_its_batch(asked: list[Protostructure]) -> None:
    whole = fill(asked, settings=FAST).crystals
    for i in (0, 3, 5):
        alone = fill([asked[i]], start=i, settings=FAST).crystals
        n = int(alone.n_atoms[0])
        assert torch.equal(alone.frac[0], whole.frac[i, :n])
        assert torch.equal(alone.lattice[0], whole.lattice[i])


def test_atoms_are_spaced(asked: list[Protostructure]) -> None:
    assert (fill(asked, settings=FillSettings()).crystals.crystal_fields["closest"] > 0.7).all()


def test_spinel_has_its_oxygen_parameter(asked: list[Protostructure]) -> None:
    crystals = fill(asked[:1]).crystals
    edge = (4 * float(crystals.volume[0])) ** (1 / 3)
    assert edge == pytest.approx(8.08, rel=0.03)
    assert protostructures(crystals)[0] is not None
    # Al-O of octahedra and Mg-O of tetrahedra: 1.93 and 1.92 Å in the mineral.
    assert float(crystals.crystal_fields["closest"][0]) == pytest.approx(1.93 / 1.87, abs=0.2)


def test_pyxtal_fills_the_same_labels(asked: list[Protostructure]) -> None:
    pytest.importorskip("pyxtal")
    filled = fill(asked[:2], settings=FillSettings(method="pyxtal", keep=3))
    assert filled.crystals.crystal_fields["carries_label"].all()


@pytest.mark.parametrize(("name", "value"), [("draws", 0), ("method", "guess")])
def test_settings_are_checked(name: str, value: object) -> None:
    with pytest.raises(UserError, match=name):
        FillSettings(**{name: value})


def test_what_cannot_be_filled_is_one_clear_line() -> None:
    with pytest.raises(UserError, match="He"):
        fill([Protostructure(225, ((2, "a"),))])
    with pytest.raises(UserError, match="at most"):
        fill([Protostructure(229, ((14, "l"),) * 20)])


def test_nothing_asked_nothing_found() -> None:
    assert len(fill([]).crystals) == 0
    assert np.isclose(fill([]).seconds, 0)
