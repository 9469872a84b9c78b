"""Protostructures before relaxation: repeated and known ones are left out, and only those."""

import pandas as pd
import pytest
import torch

import nucleate
from nucleate.crystal.crystals import Crystals
from nucleate.data.reference import Reference
from nucleate.errors import UserError
from nucleate.screening.prefilter import reference_labels
from nucleate.symmetry.protostructure import protostructure_labels

HALF = [[0.0, 0, 0], [0.5, 0.5, 0.5]]
FCC = torch.tensor([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]], dtype=torch.float64)


def batch():
    """Rock salt twice (MgO, once larger), caesium chloride of MgO, rock salt of RbAg, and one cell of P1 twice."""
    crooked = torch.tensor([[4.1, 0.2, 0.1], [0.3, 4.4, 0.2], [0.1, 0.5, 4.9]], dtype=torch.float64)
    off = [[0.0, 0, 0], [0.41, 0.53, 0.47], [0.2, 0.9, 0.33]]
    return Crystals.from_lists(
        [[12, 8], [12, 8], [12, 8], [37, 47], [37, 47, 8], [37, 47, 8]],
        [HALF, HALF, HALF, HALF, off, off],
        [2.12 * FCC, 2.2 * FCC, 2.65 * torch.eye(3, dtype=torch.float64), 3.2 * FCC, crooked, crooked],
    )


def screened(tmp_path, **options):
    run = nucleate.screen(batch(), tmp_path / "run", workers=1, descriptors="none", chunk_size=2, **options)
    return run.candidates()


def test_everything_is_relaxed_unless_asked_otherwise(tmp_path):
    assert not screened(tmp_path, max_steps=1)["status"].isin(["repeated", "known"]).any()


def test_an_earlier_label_is_not_relaxed_again(tmp_path):
    table = screened(tmp_path, labels="distinct")
    assert table["status"].tolist()[:4] == ["ok", "repeated", "ok", "ok"]
    assert table["reason"][1] == f"AB_cF8_225_a_b:Mg-O, as {table['id'][0]}"
    assert not table["status"][4:].isin(["repeated", "known"]).any()
    left = table.iloc[1]
    assert left["relaxed_frac"] is None
    assert pd.isna(left["energy_per_atom"])
    assert pd.isna(left["is_unique"])
    assert not left["is_stable"]


def test_labels_of_the_reference_are_not_relaxed(tmp_path):
    table = screened(tmp_path, labels="new")
    assert table["status"].tolist()[:2] == ["known", "known"]
    assert table["reason"][0] == "the reference has AB_cF8_225_a_b:Mg-O"
    assert table["status"][3] == "ok"


def test_a_resumed_run_leaves_out_the_same(tmp_path):
    whole = screened(tmp_path, labels="distinct")
    (tmp_path / "run" / "candidates" / "00000.parquet").unlink()
    again = nucleate.screen(
        batch(), tmp_path / "run", workers=1, descriptors="none", chunk_size=2, labels="distinct", resume=True
    ).candidates()
    pd.testing.assert_frame_equal(again, whole)


def test_other_choices_are_refused(tmp_path):
    with pytest.raises(UserError, match="labels"):
        screened(tmp_path, labels="some")


def test_a_known_structure_need_not_be_a_phase():
    reference = Reference.load("bundled")
    phases = set(reference.phases["id"])
    rows = [row for row, one in enumerate(reference.structure_ids) if one not in phases][:5]
    assert rows
    assert set(protostructure_labels(reference.structures[rows])) <= reference_labels(reference, "bundled")
