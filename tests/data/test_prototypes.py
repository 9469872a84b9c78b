"""The sweep: deterministic, resumable, charge-balanced, and every crystal what its name says."""

import re
from itertools import islice

import moyopy
import numpy as np
import pytest
import torch

from nucleate.crystal.elements import SYMBOLS, parse_formula
from nucleate.data.literature import load_literature
from nucleate.data.prototype_templates import (
    evaluate_coordinate,
    full_cell,
    lattice_vectors,
    load_templates,
    operations,
    orbit,
    touching_scale,
)
from nucleate.data.prototypes import (
    IONIC_BINARIES,
    IONIC_TERNARIES,
    METALLIC,
    MIEDEMA,
    Candidate,
    atomic_volumes,
    formation_tendency,
    plan,
    sweep,
)
from nucleate.errors import UserError


def one_of_each_prototype(kind: str) -> list[Candidate]:
    first: dict[tuple[str, bool], Candidate] = {}
    for candidate in plan(kind):
        first.setdefault((candidate.template.name, candidate.radii[:1] < (0.0,)), candidate)
    return list(first.values())


def test_order_is_by_weight_and_names_are_unique() -> None:
    candidates = plan("charge_balanced")
    weights = [c.weight for c in candidates]
    assert weights == sorted(weights, reverse=True)
    assert len({c.name for c in candidates}) == len(candidates)
    assert len(candidates) > 1000


def test_resuming_gives_the_same_crystals() -> None:
    all_of_them = list(islice(sweep("charge_balanced"), 6))
    resumed = list(islice(sweep("charge_balanced", start=4), 2))
    for (crystal, name), (again, name_again) in zip(all_of_them[4:], resumed, strict=True):
        assert name == name_again
        assert torch.equal(crystal.frac, again.frac)
        assert torch.equal(crystal.lattice, again.lattice)


@pytest.mark.parametrize("kind", ["charge_balanced", "ternary"])
def test_every_prototype_builds_what_its_name_says(kind: str) -> None:
    wrong = []
    for candidate in one_of_each_prototype(kind):
        crystal = candidate.build()
        z, x, cell = crystal.sites(0)
        formula, space_group = re.fullmatch(r"proto-(\w+)-(\d+)-.*", candidate.name).groups()
        counts = parse_formula(formula)
        found = {int(n): int((z == n).sum()) for n in z.unique()}
        units = len(z) // sum(counts.values())
        group = moyopy.MoyoDataset(moyopy.Cell(cell.tolist(), x.tolist(), z.tolist()), symprec=0.01).number
        if found != {n: count * units for n, count in counts.items()} or group != int(space_group):
            wrong.append((candidate.name, found, group))
    assert not wrong


def test_all_listed_prototypes_exist_and_can_be_built_without_more_parameters() -> None:
    templates = load_templates()
    for name, coordination, _ in (*IONIC_BINARIES, *IONIC_TERNARIES):
        assert set(coordination) == set(templates[name].labels)
    for name, _, _ in METALLIC:
        template = templates[name]
        assert template.labels in (("A", "B"), ("B", "A"))
        for site in template.sites:
            site.position(template.defaults)


def test_common_crystals_come_early() -> None:
    names = [c.name for c in plan("charge_balanced")]
    for name in ("NaCl-225-rocksalt", "MgO-225-rocksalt", "CaF2-225-fluorite", "Li2O-225-fluorite", "TiO2-136-rutile"):
        assert names.index(f"proto-{name}") < len(names) / 5


def test_starting_volumes_are_near_the_measured_ones() -> None:
    crystals, table = literature = load_literature()
    measured = dict(zip(table["id"].str[4:], (crystals.volume / crystals.n_atoms).tolist(), strict=True))
    assert len(literature) == 2
    known = [c for c in plan("charge_balanced") if c.name[6:] in measured]
    ratios = []
    for candidate in known[::4]:
        crystal = candidate.build()
        ratios.append(float(crystal.volume / crystal.n_atoms) / measured[candidate.name[6:]])
    assert len(known) > 150
    assert 0.9 < np.median(ratios) < 1.1
    assert np.quantile(np.abs(np.log(ratios)), 0.8) < 0.25


def test_touching_scale_of_rocksalt_is_the_sum_of_radii() -> None:
    z, x, cell = load_templates()["rocksalt"].expand([11, 17], [1.0])
    assert touching_scale(z, x, cell, {11: 1.02, 17: -1.81}) == pytest.approx(2 * (1.02 + 1.81))
    # a small cation: the anions touch before, at face-diagonal distance
    assert touching_scale(z, x, cell, {11: 0.2, 17: -1.81}, overlap=1.0) == pytest.approx(2 * 1.81 * np.sqrt(2.0))


def test_atomic_volumes_of_close_packed_metals() -> None:
    volumes = atomic_volumes()
    assert volumes[29] == pytest.approx(3.6149**3 / 4)
    assert volumes[14] < 15.0  # silicon among metals is smaller than in its own open crystal
    assert set(range(1, 95)) - set(volumes) == {SYMBOLS.index(s) for s in ("At", "Rn", "Fr")}


def test_formation_tendency_is_symmetric_and_has_the_known_signs() -> None:
    assert all(formation_tendency(a, b) == formation_tendency(b, a) for a in MIEDEMA for b in MIEDEMA)
    assert all(formation_tendency(*pair) < 0 for pair in (("Ni", "Al"), ("Pt", "Zr"), ("Au", "Cs"), ("Ti", "Fe")))
    assert all(formation_tendency(*pair) > 0 for pair in (("Ag", "Fe"), ("Cu", "W"), ("Na", "Fe"), ("La", "Ti")))


def test_unknown_kind_is_one_clear_line() -> None:
    with pytest.raises(UserError, match="charge_balanced"):
        next(sweep("everything"))


@pytest.mark.parametrize(
    ("text", "value"), [("1/4", 0.25), ("-x", -0.3), ("2x", 0.6), ("x+1/2", 0.8), ("1/2-2x", -0.1), ("0.125", 0.125)]
)
def test_coordinates(text: str, value: float) -> None:
    assert evaluate_coordinate(text, {"x": 0.3}) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "q", "x*2", "1/4 1/4", "x+"])
def test_bad_coordinates_are_refused(text: str) -> None:
    with pytest.raises(UserError):
        evaluate_coordinate(text, {"x": 0.3})


def test_wrong_number_of_lattice_parameters_is_refused() -> None:
    with pytest.raises(UserError, match="space group 225"):
        full_cell(225, [4.0, 4.0])


def test_lattice_vectors_have_the_given_lengths_and_angles() -> None:
    cell = (3.0, 4.0, 5.0, 80.0, 95.0, 110.0)
    rows = lattice_vectors(cell)
    lengths = np.linalg.norm(rows, axis=1)
    angles = [np.degrees(np.arccos(rows[i] @ rows[j] / lengths[i] / lengths[j])) for i, j in ((1, 2), (0, 2), (0, 1))]
    np.testing.assert_allclose([*lengths, *angles], cell)


def test_orbits_have_the_size_of_their_wyckoff_positions() -> None:
    """Against PyXtal's Wyckoff tables: every site lies on the position that it names."""
    from pyxtal.symmetry import Group

    wrong = []
    for template in load_templates().values():
        group = Group(template.space_group)
        values = {**dict.fromkeys(("x", "y", "z", "u", *(f"{c}{i}" for c in "xyz" for i in range(1, 6))), 0.1234)}
        values |= template.defaults
        values |= {
            name: value + 0.01 * i for i, (name, value) in enumerate(values.items()) if name not in template.defaults
        }
        for site in template.sites:
            position = group.get_wyckoff_position(site.wyckoff)
            point = site.position(values)
            general = operations(template.space_group)
            images = (general[0] @ point + general[1]) % 1.0
            on_it = any(_lies_on(np.array(op.affine_matrix), image) for op in position.ops for image in images)
            if not on_it or len(orbit(template.space_group, point, 10 * np.eye(3))) != site.multiplicity:
                wrong.append((template.name, site.wyckoff))
    assert not wrong


def _lies_on(affine: np.ndarray, point: np.ndarray) -> bool:
    """Whether some free parameters carry the position's expression onto the point, modulo a lattice translation."""
    rotation, shift = affine[:3, :3], affine[:3, 3]
    for offset in np.ndindex(3, 3, 3):
        target = point - shift + np.array(offset) - 1
        solution = np.linalg.lstsq(rotation, target, rcond=None)[0]
        if np.abs(rotation @ solution - target).max() < 1e-3:
            return True
    return False
