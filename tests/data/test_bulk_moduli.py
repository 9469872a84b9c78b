"""Bulk moduli: the shipped table, and what is computed beside it."""

import gzip
import json

import numpy as np
import pandas as pd
import pytest
import torch

from nucleate.crystal.crystals import Crystals
from nucleate.data.bulk_moduli import bulk_moduli, shipped_bulk_moduli, table_of
from nucleate.data.dataset import Dataset, load_dataset
from nucleate.data.literature import load_literature
from nucleate.io.files import write_structures
from nucleate.potentials.potential import Evaluation


@pytest.fixture(scope="module")
def mgo():
    crystals, table = load_literature()
    return crystals[[table["id"].tolist().index("lit-MgO-225-rocksalt")]]


def dataset(crystals, *ids):
    return Dataset(crystals, pd.DataFrame({"id": list(ids)}))


def test_the_shipped_table_is_whole():
    table = shipped_bulk_moduli()
    assert len(table) == 9705
    assert table["material_id"].is_unique
    assert table["bulk_modulus"].between(1, 500).all()
    assert table["volume_per_atom"].between(3, 300).all()


def test_a_name_counts_only_with_its_volume(mgo):
    row = shipped_bulk_moduli().iloc[0]
    at = (row["volume_per_atom"] * 2 / float(mgo.volume[0])) ** (1 / 3)
    right = Crystals(mgo.numbers, mgo.frac, mgo.lattice * at, mgo.n_atoms)
    unknown = Crystals(torch.where(mgo.numbers == 12, 95, mgo.numbers), mgo.frac, mgo.lattice, mgo.n_atoms)
    seen = []
    both = dataset(Crystals.concatenate([right, mgo, unknown]), *[row["material_id"]] * 3)
    found = bulk_moduli(both, lambda *state: seen.append(state))
    assert found[0] == row["bulk_modulus"]
    assert found[1] == pytest.approx(142, abs=5)  # CHGNet's magnesia; measured: 163 GPa
    assert np.isnan(found[2])  # americium, which CHGNet does not know, takes none of the others along
    assert seen == [(2, 2)]


class Odd:
    """A potential of the volume alone."""

    def __init__(self, energy):
        self.energy = energy

    def evaluate(self, crystals):
        volume = crystals.volume.double().clone().requires_grad_()
        energy = self.energy(volume)
        slope = torch.autograd.grad(energy.sum(), volume)[0]
        stress = slope[:, None, None] * torch.eye(3, dtype=torch.float64)
        nothing = torch.zeros(*crystals.numbers.shape, 3, dtype=torch.float64)
        return Evaluation(energy.detach(), nothing, stress, nothing[..., 0])


def test_energies_without_a_minimum_or_smoothness_give_none(mgo):
    smooth = table_of(mgo, Odd(lambda v: 0.02 * (v - 18.7) ** 2))
    assert smooth["status"].tolist() == ["ok"]
    assert smooth["volume_per_atom"][0] == pytest.approx(9.35, rel=1e-3)
    falling = table_of(mgo, Odd(lambda v: -v))
    assert falling["status"].tolist() == ["no_minimum"]
    rough = table_of(mgo, Odd(lambda v: 0.02 * (v - 18.7) ** 2 + 0.3 * torch.sin(5 * v)))
    assert rough["status"].tolist() != ["ok"]
    for table in (falling, rough):
        assert table["bulk_modulus"].isna().all()


def test_a_table_gets_its_column(mgo, tmp_path, capsys):
    from nucleate.cli.main import run

    structures = tmp_path / "mine.extxyz"
    write_structures(mgo, structures)
    out = tmp_path / "with.csv.gz"
    with pytest.raises(SystemExit) as ended:
        run(["data", "bulk-moduli", str(structures), "-o", str(out), "--json"])
    assert ended.value.code in (0, None)
    assert json.loads(capsys.readouterr().out)["with_bulk_modulus"] == 1
    again = load_dataset(out, ("bulk_modulus",), cache=False)
    assert again.crystals.n_atoms.tolist() == mgo.n_atoms.tolist()
    assert np.isfinite(again.column("bulk_modulus").numpy()).all()
    assert gzip.decompress(out.read_bytes()).startswith(b"id,")
