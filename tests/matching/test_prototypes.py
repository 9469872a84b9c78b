"""Structure types: elements do not matter, the commonest come first, and the curve falls to what matches nothing."""

import numpy as np
import pytest
import torch
from pymatgen.core import Structure
from pymatgen.core.structure_matcher import FrameworkComparator, StructureMatcher

from nucleate.crystal.crystals import Crystals
from nucleate.errors import UserError
from nucleate.io.interop import from_pymatgen, to_pymatgen
from nucleate.matching.prototypes import (
    Prototype,
    Prototypes,
    aflow_prototypes,
    commonest_prototypes,
    families_by,
    match_prototypes,
    prototype_label,
    unmatched_curve,
)


def renamed(structure: Structure, names: dict[str, str]) -> Structure:
    copy = structure.copy()
    copy.replace_species({old: new for old, new in names.items() if old in copy.symbol_set})
    return copy


def test_labels_name_no_element_and_no_order() -> None:
    assert prototype_label("A2B_cF12_225_c_a:Li-O") == prototype_label("AB2_cF12_225_a_c:Ca-F") == "AB2_cF12_225_a_c"
    assert prototype_label("ABC3_cP5_221_b_a_c:Sr-Ti-O") == prototype_label("A3BC_cP5_221_c_a_b")
    assert prototype_label("") == ""
    assert prototype_label("sigma_tP30_136_bf2ij") == "sigma_tP30_136_bf2ij"


def test_every_aflow_prototype_is_itself_or_an_earlier_one() -> None:
    aflow = aflow_prototypes()
    assert len(aflow) > 250
    assert aflow.crystals.n_atoms.min() >= 1
    assert {"Fluorite", "Spinel"} <= {kind.name for kind in aflow.types}
    small = torch.nonzero(aflow.crystals.n_atoms <= 6).flatten()[:40]
    part = Prototypes(tuple(aflow.types[i] for i in small.tolist()), aflow.crystals[small])
    matched = match_prototypes(part.crystals, part)
    assert matched["has_prototype"].all()
    assert (matched["rank"].to_numpy(np.int64) <= np.arange(len(small))).all()


def test_elements_do_not_matter_and_answers_are_the_plain_matchers(prototypes, noisy) -> None:
    known = prototypes()
    queries = [noisy(p, 5 * i + j, s) for i, p in enumerate(known) for j, s in enumerate((0.05, 0.5))]
    queries = [renamed(q, {"O": "S", "Mg": "Na", "Ti": "Zr", "Sr": "K"}) for q in queries]
    types = Prototypes(tuple(Prototype(str(i), "", 0) for i in range(len(known))), from_pymatgen(known))
    matched = match_prototypes(from_pymatgen(queries), types)
    matcher = StructureMatcher(comparator=FrameworkComparator())
    expected = [next((i for i, p in enumerate(known) if matcher.fit(p, q)), None) for q in queries]
    assert [None if matched["rank"].isna()[i] else int(matched["rank"][i]) for i in range(len(queries))] == expected


def test_the_commonest_come_first(prototypes, disguised) -> None:
    originals = prototypes()
    several = [p for i, p in enumerate(originals) for _ in range(i + 1)]
    batch = from_pymatgen([disguised(p, i) for i, p in enumerate(several)])
    found = commonest_prototypes(batch, 3)
    assert [kind.count for kind in found.types] == [6, 5, 4]
    assert "erovskite" in found.types[0].name
    fits = StructureMatcher().fit
    assert all(fits(one, two) for one, two in zip(to_pymatgen(found.crystals), originals[:2:-1], strict=True))
    assert len(found + found) == 3
    with pytest.raises(UserError):
        commonest_prototypes(batch, 3, ["x"])


def test_the_curve_falls_from_one_and_keeps_unknown_crystals(prototypes) -> None:
    structures = prototypes()
    types = Prototypes(tuple(Prototype(str(i), "", 0) for i in range(2)), from_pymatgen(structures[:2]))
    good = from_pymatgen([structures[0], structures[0], structures[1], structures[3]])
    bad = good[0]
    bad = Crystals(bad.numbers, bad.frac, bad.lattice * float("nan"), bad.n_atoms)
    matched = match_prototypes(Crystals.concatenate([good, bad]), types)
    curve = unmatched_curve(matched, len(types))
    assert curve["n"].tolist() == [0, 1, 2]
    assert curve["unmatched"].tolist() == pytest.approx([0.8, 0.4, 0.2])
    assert ((curve["low"] <= curve["unmatched"]) & (curve["unmatched"] <= curve["high"])).all()
    table = families_by(matched, [1.0, 5.0, 5.0, 9.0, 9.0], [0, 5, 10], top=1)
    assert table.to_numpy().tolist() == [[1, 0, 0], [1, 2, 1]]
    assert unmatched_curve(matched.iloc[:0], 2)["unmatched"].isna().all()
