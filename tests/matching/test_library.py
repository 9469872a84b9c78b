"""The library answers as pymatgen's plain matcher does, and no crystal stops or hangs it."""

import time

import numpy as np
import pytest
import torch
from pymatgen.core import Structure
from pymatgen.core.structure_matcher import StructureMatcher

from nucleate.crystal.crystals import Crystals
from nucleate.io.interop import from_pymatgen, to_pymatgen
from nucleate.matching import cell_fits, reduced_cells
from nucleate.matching.entries import composition_key
from nucleate.matching.library import StructureLibrary
from nucleate.matching.reduced_cells import MatchError, reduced_cell, time_limit


def test_find_agrees_with_the_plain_matcher(prototypes, disguised, noisy) -> None:
    known = prototypes()
    queries = [noisy(p, 7 * i + j, s) for i, p in enumerate(known) for j, s in enumerate((0.05, 0.4, 0.8))]
    queries += [disguised(p, i) for i, p in enumerate(known)]
    library, batch = StructureLibrary.of(from_pymatgen(known)), from_pymatgen(queries)
    matcher = StructureMatcher()
    answers = []
    for row, query in enumerate(queries):
        expected = next((i for i, p in enumerate(known) if matcher.fit(p, query)), None)
        answers.append(expected)
        assert library.find(batch, row).index == expected
    assert None in answers  # else the test shows nothing
    assert answers[-len(known) :] == list(range(len(known)))


def test_real_pairs_agree_with_the_plain_matcher(shared_data) -> None:
    import pandas as pd

    table = pd.read_csv(shared_data / "mp" / "train.csv.gz", usecols=["formula", "nsites", "cif"])
    formulas = table["formula"].value_counts()
    rows = table[table["formula"].isin(formulas[formulas > 1].index[:8])]
    structures = [Structure.from_str(cif, fmt="cif") for cif in rows["cif"]]
    batch = from_pymatgen(structures)
    matcher = StructureMatcher()
    for i in range(len(structures)):
        library = StructureLibrary()
        for j in range(i):
            library.append(batch, j, j)
        assert library.find(batch, i).index == next(
            (j for j in range(i) if matcher.fit(structures[j], structures[i])), None
        )


def test_composition_key_reduces_and_ignores_padding() -> None:
    assert composition_key(torch.tensor([8, 22, 8, 22, 8, 8, 0])) == ((8, 2), (22, 1))
    assert composition_key(torch.tensor([0, 0])) == ()


def bad_crystals() -> dict[str, Crystals]:
    eye = np.eye(3)
    return {
        "not finite": Crystals.from_lists([[3]], [[[0, 0, 0]]], [(eye * np.nan).tolist()]),
        "0.1": Crystals.from_lists([[3]], [[[0, 0, 0]]], [np.zeros((3, 3)).tolist()]),
        "0 sites": Crystals.from_lists([[]], [[]], [eye.tolist()]),
        "lengths": Crystals.from_lists([[3]], [[[0, 0, 0]]], [np.diag([0.01, 300, 300]).tolist()]),
        "at most": Crystals.from_lists([[3] * 201], [np.random.default_rng(0).random((201, 3)).tolist()], [eye * 40]),
    }


@pytest.mark.parametrize("word", list(bad_crystals()))
def test_a_bad_crystal_is_a_reason(word: str) -> None:
    with pytest.raises(MatchError, match=word):
        reduced_cell(bad_crystals()[word], 0, 60.0)


def test_a_slow_comparison_is_cut_and_the_handler_restored() -> None:
    import signal

    before = signal.getsignal(signal.SIGALRM)
    begin = time.perf_counter()
    with pytest.raises(MatchError, match="stopped"), time_limit(0.05):
        time.sleep(30)
    assert time.perf_counter() - begin < 2
    assert signal.getsignal(signal.SIGALRM) is before


def test_failed_comparisons_are_named(monkeypatch, prototypes) -> None:
    batch = from_pymatgen(prototypes()[:1])
    library = StructureLibrary.of(batch)

    class Broken:
        def fit(self, *_args: object, **_options: object) -> bool:
            raise ValueError("no luck")

    monkeypatch.setattr(reduced_cells.MatchSettings, "matcher", lambda self, framework=False: Broken())
    monkeypatch.setattr(cell_fits, "_fit_batch", lambda first, i, *_: (np.full(len(i), 2), i >= 0))
    for match in (library.find(batch, 0), *library.take(batch)):
        assert match.index is None
        assert match.is_known is None
        assert "no luck" in match.reason
    assert len(library) == 1


def test_cells_are_left_as_they_are_only_where_the_plain_search_does_so(prototypes, disguised, noisy) -> None:
    structures = prototypes() + [noisy(p, i, 0.05) for i, p in enumerate(prototypes())]
    structures += [disguised(p, i) for i, p in enumerate(structures)] + [p * (2, 1, 1) for p in structures]
    skipped = 0
    for structure in structures:
        cell = structure.get_reduced_structure(reduction_algo="niggli")
        plain = cell.get_primitive_structure()
        if reduced_cells._is_primitive(cell):
            skipped += 1
            assert np.array_equal(plain.frac_coords, cell.frac_coords)
            assert np.array_equal(plain.lattice.matrix, cell.lattice.matrix)
    assert 5 < skipped < len(structures)


def test_conversion_is_the_plain_one(prototypes) -> None:
    batch = from_pymatgen(prototypes())
    for i, plain in enumerate(to_pymatgen(batch)):
        assert reduced_cells.structure(batch, i) == plain
