"""The disordered matcher is pymatgen's, used as MatterGen's evaluation uses it, written out plainly here."""

import itertools
import warnings

import networkx
import numpy as np
import pytest
from pymatgen.core import Element, Lattice, Structure
from pymatgen.core.structure_matcher import OrderDisorderElementComparator, StructureMatcher

from nucleate.errors import UserError
from nucleate.io.interop import from_pymatgen
from nucleate.matching import disordered
from nucleate.matching.disordered import AlloyComparison, can_share, shared_names
from nucleate.matching.library import StructureLibrary, novelty, uniqueness
from nucleate.matching.reduced_cells import MATCHERS, MatchError

DISORDERED = MATCHERS["disordered"]


def alike(one: Element, two: Element) -> bool:
    if one.atomic_radius is None or two.atomic_radius is None:
        return False
    mean = (one.atomic_radius + two.atomic_radius) / 2
    return abs(one.atomic_radius - two.atomic_radius) / mean <= 0.3 and abs(one.X - two.X) <= 1.0


def space_group(structure: Structure) -> int:
    try:
        return structure.get_space_group_info(symprec=0.1)[1]
    except Exception:  # noqa: BLE001
        return -1


def plain_fit(asked: Structure, known: Structure) -> bool:
    if asked.composition.reduced_formula != known.composition.reduced_formula:
        return False
    if space_group(asked) == space_group(known) and StructureMatcher().fit(asked, known):
        return True
    graph = networkx.Graph((one, two) for one, two in itertools.combinations(asked.elements, 2) if alike(one, two))
    merged = asked.copy()
    for group in networkx.connected_components(graph):
        total = sum(asked.composition[e] for e in group)
        merged.replace_species({e: {f: asked.composition[f] / total for f in group} for e in group})
    if merged.is_ordered:
        return False
    comparator = OrderDisorderElementComparator()
    return StructureMatcher(attempt_supercell=True, allow_subset=True, comparator=comparator).fit(merged, known)


def orderings(seed: int) -> list[Structure]:
    """Crystals of a few formulas: alloys in several orders and cells, and compounds that no elements share sites of."""
    rng = np.random.default_rng(seed)
    cubic = Lattice.cubic
    parents = [
        (Structure.from_spacegroup("Fm-3m", cubic(3.7), ["Cu"], [[0, 0, 0]]), ["Cu", "Au", "Cu", "Au"]),
        (Structure.from_spacegroup("Im-3m", cubic(2.86), ["Fe"], [[0, 0, 0]]) * (1, 1, 2), ["Fe", "Co", "Fe", "Co"]),
        (Structure.from_spacegroup("Fm-3m", cubic(5.6), ["Na", "Cl"], [[0, 0, 0], [0.5] * 3]), ["Na"] * 4 + ["Cl"] * 4),
        (
            Structure.from_spacegroup("Fm-3m", cubic(4.4), ["Mg", "O"], [[0, 0, 0], [0.5] * 3]) * (1, 1, 2),
            ["Mg", "Mn", "Mg", "Mn", "Mg", "Mn", "Mg", "Mn"] + ["O"] * 8,
        ),
        (
            Structure.from_spacegroup("Pm-3m", cubic(3.9), ["Sr", "Ti", "O"], [[0, 0, 0], [0.5] * 3, [0.5, 0.5, 0]])
            * (1, 1, 3),
            ["Sr"] * 2 + ["Ba"] + ["Ti"] * 3 + ["O"] * 9,
        ),
        (
            Structure.from_spacegroup("P6_3/mmc", Lattice.hexagonal(2.6, 4.2), ["Cu"], [[1 / 3, 2 / 3, 0.25]]),
            ["Cu", "Au"],
        ),
    ]
    found = []
    for parent, species in parents:
        for copies in (1, 1, 1, 2):
            large = parent * (copies, 1, 1)
            alloy, kinds = large.copy(), np.repeat(species, copies)
            metals = [k for k, kind in enumerate(kinds) if kind not in ("O", "Cl", "Ti")]
            kinds[metals] = kinds[rng.permutation(metals)]
            alloy = Structure(large.lattice, kinds, large.frac_coords)
            found += [alloy, alloy.copy().perturb(0.3, seed=int(rng.integers(99)))]
    return found


def test_answers_are_the_plain_matchers(monkeypatch) -> None:
    structures = orderings(0)
    sizes = set()
    batch = from_pymatgen(structures)
    comparison = AlloyComparison(DISORDERED)
    cells = comparison.prepare(batch, range(len(batch)))
    formulas: dict[str, list[int]] = {}
    for row, structure in enumerate(structures):
        formulas.setdefault(structure.composition.reduced_formula, []).append(row)
    original = disordered._shared_fits

    def seen(merged, j, shared, i, settings):
        sizes.add(np.sign(len(shared.members[0].numbers) - len(merged.members[0].numbers)))
        return original(merged, j, shared, i, settings)

    monkeypatch.setattr(disordered, "_shared_fits", seen)
    answers = []
    for rows in formulas.values():
        i, j = np.array(list(itertools.product(range(len(rows)), repeat=2))).T
        group = comparison.stack([cells[row] for row in rows])
        found, reasons = comparison.fits(group, i, group, j)
        assert not reasons
        expected = [plain_fit(structures[rows[b]], structures[rows[a]]) for a, b in zip(i, j, strict=True)]
        assert found.tolist() == expected
        alone = [comparison.fits(group, i[k : k + 1], group, j[k : k + 1])[0][0] for k in range(0, len(i), 5)]
        assert alone == found[::5].tolist()
        answers += expected
    assert sizes == {-1, 0, 1}  # supercells of the one, of the other, and none
    assert 0.1 < np.mean(answers) < 0.95


def test_orderings_of_an_alloy_are_one_structure_to_one_matcher_only() -> None:
    batch = from_pymatgen(orderings(1)[:8:2])  # of copper and gold on a cubic lattice
    ordered, disordered = uniqueness(batch), uniqueness(batch, DISORDERED)
    assert disordered["is_unique"].sum() < ordered["is_unique"].sum()
    known = StructureLibrary.of(batch[:1], DISORDERED)
    assert not novelty(batch, known)["is_novel"].any()
    assert novelty(batch, batch[:1])["is_novel"].any()


def test_library_is_the_plain_greedy_rule() -> None:
    structures = orderings(2)
    unique: list[int] = []
    expected: list[int | None] = []
    for row, structure in enumerate(structures):
        same = next((k for k in unique if plain_fit(structure, structures[k])), None)
        expected.append(same)
        if same is None:
            unique.append(row)
    table = uniqueness(from_pymatgen(structures), DISORDERED)
    assert [
        None if value is None else int(value) for value in table["duplicate_of"].replace({np.nan: None})
    ] == expected


@pytest.mark.parametrize(
    ("one", "two"), itertools.combinations(["Fe", "Co", "O", "S", "Cs", "Xe", "He", "Pu", "Cl"], 2)
)
def test_sharing_is_hume_rotherys(one: str, two: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = alike(Element(one), Element(two))
    assert can_share(Element(one).Z, Element(two).Z) == can_share(Element(two).Z, Element(one).Z) == expected


def test_sharing_is_transitive() -> None:
    chain = next(
        (a, b, c)
        for a, b, c in itertools.permutations(range(3, 84), 3)
        if can_share(a, b) and can_share(b, c) and not can_share(a, c)
    )
    assert set(shared_names(chain).values()) == {min(chain)}
    assert shared_names([11, 17]) == {11: 11, 17: 17}


def test_bad_crystals_and_mixed_requests_are_said_so() -> None:
    broken = from_pymatgen([Structure(Lattice.cubic(3), ["Fe", "Co"], [[0] * 3, [0.5] * 3])])
    broken.lattice[0] = float("nan")
    assert isinstance(AlloyComparison(DISORDERED).prepare(broken, [0])[0], MatchError)
    table = uniqueness(broken, DISORDERED)
    assert table["is_unique"].isna().all()
    assert "finite" in table["uniqueness_reason"][0]
    with pytest.raises(UserError, match="framework"):
        StructureLibrary(DISORDERED, framework=True)
    assert "disordered" in str(DISORDERED)
