"""JSON of pymatgen and OPTIMADE: the same sites as pymatgen's, and no more than whole atoms."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure

from nucleate.io.interop import to_pymatgen
from nucleate.io.structure_json import SitesError, structures_of

SALT = Structure(Lattice.cubic(5.0), ["Na+", "Cl-"], [[0, 0, 0], [0.5, 0.5, 0.5]])


def optimade(**more):
    attributes = {
        "lattice_vectors": SALT.lattice.matrix.tolist(),
        "cartesian_site_positions": SALT.cart_coords.tolist(),
        "species_at_sites": ["a", "b"],
        "species": [
            {"name": "a", "chemical_symbols": ["Na"], "concentration": [1.0]},
            {"name": "b", "chemical_symbols": ["Cl"], "concentration": [1]},
        ],
        "dimension_types": [1, 1, 1],
        "nsites": 2,
        "structure_features": [],
        "_mp_band_gap": 5.0,
        **more,
    }
    return {"type": "structures", "id": "mp-1", "attributes": attributes}


def plain(document):
    """What a file with this content would give."""
    return list(structures_of(json.loads(json.dumps(document))))


@given(st.integers(0, 2**32 - 1))
def test_it_reads_what_pymatgen_writes(make_crystals, seed):
    structures = to_pymatgen(make_crystals(seed, 3))
    found = plain([one.as_dict() for one in structures])
    for (_, build, _), structure in zip(found, structures, strict=True):
        sites = build()
        assert sites.numbers == [site.specie.Z for site in structure]
        assert np.allclose(sites.frac, structure.frac_coords)
        assert np.allclose(sites.lattice, structure.lattice.matrix)


def test_the_ways_in_which_structures_lie_in_documents():
    salt = SALT.as_dict()
    entry = {"entry_id": "mp-2", "energy": -7.0, "structure": salt, "data": {"gap": 5, "tags": ["a"]}}
    assert [name for name, _, _ in plain(salt)] == [None]
    assert [name for name, _, _ in plain({"a": salt, "b": salt})] == ["a", "b"]
    assert [(name, known) for name, _, known in plain([entry])] == [("mp-2", {"energy": -7.0, "gap": 5})]
    assert [name for name, _, _ in plain({"data": [{"material_id": "mp-3", "structure": salt}]})] == ["mp-3"]
    assert [(name, known) for name, _, known in plain({"data": [optimade()]})] == [("mp-1", {"_mp_band_gap": 5.0})]
    assert [name for name, _, _ in plain({"data": optimade(), "meta": {}})] == ["mp-1"]
    for nothing in ({}, [], {"kind": "design"}, [1, "a"], "text", {"data": [1]}):
        assert plain(nothing) == []


def test_optimade_is_in_fractions_of_the_cell():
    ((_, build, _),) = plain(optimade())
    assert build().numbers == [11, 17]
    assert np.allclose(build().frac, SALT.frac_coords)


def changed(path, value):
    document = SALT.as_dict()
    place = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return document


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (changed(["lattice"], None), "a molecule"),
        (changed(["lattice", "pbc"], [True, True, False]), "three directions"),
        (changed(["lattice", "matrix"], [[1, 0, 0], [0, 1, 0]]), "not three vectors"),
        (changed(["lattice", "matrix"], [[1, 0, 0], [0, 1, 0], [0, 0, "1"]]), "three numbers"),
        (changed(["sites", 0, "abc"], [0, 0]), "three numbers"),
        (changed(["sites", 0, "abc"], [0, 0, 10**400]), "three numbers"),
        (changed(["sites", 0, "species"], [{"element": "Na", "occu": 0.5}]), "partial occupancies"),
        (changed(["sites", 0, "species"], [{"element": "Na"}, {"element": "K"}]), "partial occupancies"),
        (changed(["sites", 0, "species", 0, "element"], "X0+"), "unknown element X0+"),
        (optimade(dimension_types=[1, 1, 0]), "three directions"),
        (optimade(structure_features=["disorder"]), "disorder"),
        (optimade(nsites=3), "do not fit together"),
        (optimade(species_at_sites=["a", "c"]), "no whole atom"),
        (optimade(species=[{"name": "a", "chemical_symbols": ["vacancy"], "concentration": [1]}]), "no whole atom"),
        (optimade(lattice_vectors=[[1, 0, 0], [2, 0, 0], [0, 0, 1]]), "without volume"),
        (optimade(cartesian_site_positions=None), "no cartesian_site_positions"),
    ],
)
def test_each_fault_has_its_reason(document, reason):
    ((_, build, _),) = plain(document)
    with pytest.raises(SitesError, match=reason):
        build()


def test_attached_hydrogens_are_no_whole_atom():
    species = [
        {"name": "a", "chemical_symbols": ["Na"], "concentration": [1], "attached": ["H"], "nattached": [1]},
        {"name": "b", "chemical_symbols": ["Cl"], "concentration": [1]},
    ]
    ((_, build, _),) = plain(optimade(species=species))
    with pytest.raises(SitesError, match="a is no whole atom"):
        build()
