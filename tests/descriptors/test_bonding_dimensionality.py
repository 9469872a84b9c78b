"""Dimensionality against pymatgen's on the same bonds, and by hand."""

import networkx as nx
import pytest
import torch
from pymatgen.analysis.dimensionality import get_dimensionality_larsen
from pymatgen.analysis.graphs import StructureGraph

from nucleate.crystal.crystals import Crystals
from nucleate.data.dataset import load_dataset
from nucleate.descriptors.bonding import bonds, dimensionality
from nucleate.io.interop import to_pymatgen


def by_pymatgen(crystals: Crystals) -> list[int]:
    edges = bonds(crystals)
    found = []
    for i, structure in enumerate(to_pymatgen(crystals)):
        graph = StructureGraph.from_empty_graph(structure)
        mine = edges.crystal == i
        for a, b, image in zip(
            *(part[mine].tolist() for part in (edges.first, edges.second, edges.image)), strict=True
        ):
            reverse = tuple(-x for x in image)
            if a < b or (a == b and tuple(image) > reverse):
                graph.add_edge(a, b, from_jimage=(0, 0, 0), to_jimage=tuple(image), warn_duplicates=False)
        assert isinstance(graph.graph, nx.MultiDiGraph)
        found.append(get_dimensionality_larsen(graph))
    return found


def test_by_hand(samples):
    crystals = samples.batch(samples.ROCK_SALT, samples.COPPER, samples.GRAPHITE, samples.SELENIUM, samples.IODINE)
    assert dimensionality(crystals).tolist() == [3, 3, 2, 1, 0]


def test_matches_pymatgen_on_real_crystals(samples, shared_data):
    crystals = load_dataset(shared_data / "mp" / "val.csv.gz").crystals
    values = dimensionality(crystals)
    low = (values < 3).nonzero().flatten()[:60].tolist()
    chosen = crystals[low + list(range(40))]
    assert dimensionality(chosen).tolist() == by_pymatgen(chosen)
    assert {0, 1, 2, 3} == set(dimensionality(chosen).int().tolist())


def test_matches_pymatgen_on_random_crystals(samples):
    crystals = samples.random_batch(8, count=40)
    assert dimensionality(crystals).tolist() == by_pymatgen(crystals)


@pytest.mark.parametrize("times", [(2, 1, 1), (2, 3, 2)])
def test_the_same_in_every_cell(samples, times):
    crystals = samples.batch(samples.ROCK_SALT, samples.GRAPHITE, samples.SELENIUM, samples.IODINE)
    torch.testing.assert_close(dimensionality(samples.supercell(crystals, times)), dimensionality(crystals))


def test_interpenetrating_nets_are_one_rank_each(samples):
    # Two chains that cross the cell in different directions without touching: rank 1, not 2.
    cell = ([34, 34], [[0, 0, 0], [0.5, 0.5, 0.5]], [[2.4, 0, 0], [0, 2.4, 0], [0, 0, 20]])
    along_x_and_y = dimensionality(samples.batch(cell))
    assert along_x_and_y.tolist() == [2]
    chains = ([34], [[0, 0, 0]], [[2.4, 0, 0], [0, 9, 0], [0, 0, 9]])
    assert dimensionality(samples.batch(chains)).tolist() == [1]
