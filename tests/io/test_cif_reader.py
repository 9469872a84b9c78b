"""CIF text: the fast layouts equal pymatgen's parser, and what we write carries its symmetry back."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifWriter

from nucleate.crystal.parsed_structure import RawCrystal
from nucleate.io import cif_reader
from nucleate.io.cif_general import parse_with_pymatgen
from nucleate.io.cif_layouts import lattice_rows, read_fixed_layouts
from nucleate.io.cif_reader import parse_cifs, split_blocks
from nucleate.io.cif_writer import block_names, cif_texts, made_different
from nucleate.io.interop import from_pymatgen, to_pymatgen
from nucleate.io.validation import admit

seeds = st.integers(0, 2**32 - 1)
RUTILE = Structure.from_spacegroup(
    "P4_2/mnm", Lattice.tetragonal(4.594, 2.959), ["Ti", "O"], [[0, 0, 0], [0.305, 0.305, 0]]
)
SPINEL = Structure.from_spacegroup(
    "Fd-3m", Lattice.cubic(8.083), ["Mg", "Al", "O"], [[0.25] * 3, [0.625] * 3, [0.3874] * 3]
)
WURTZITE = Structure.from_spacegroup(
    "P6_3mc", Lattice.hexagonal(3.25, 5.207), ["Zn", "O"], [[1 / 3, 2 / 3, 0], [1 / 3, 2 / 3, 0.3819]]
)
CORUNDUM = Structure.from_spacegroup(
    "R-3c", Lattice.hexagonal(4.759, 12.991), ["Al", "O"], [[0, 0, 0.3522], [0.3064, 0, 0.25]]
)
KNOWN = {"rutile": RUTILE, "spinel": SPINEL, "wurtzite": WURTZITE, "corundum": CORUNDUM}
NUMBERS = {"rutile": 136, "spinel": 227, "wurtzite": 186, "corundum": 167}


def _same_sites(first: RawCrystal, second: RawCrystal, tolerance: float) -> bool:
    """Equal cells and equal sets of sites, in any order."""
    if sorted(first.numbers) != sorted(second.numbers) or np.abs(first.lattice - second.lattice).max() > tolerance:
        return False
    delta = first.frac[:, None] - second.frac[None]
    near = (np.abs(delta - np.round(delta)) < tolerance).all(-1) & (first.numbers[:, None] == second.numbers[None])
    return bool((near.sum(0) == 1).all() and (near.sum(1) == 1).all())


@given(seeds)
def test_the_p1_layout_is_read_as_pymatgen_reads_it(make_crystals, seed):
    for structure in to_pymatgen(make_crystals(seed)):
        text = str(CifWriter(structure))
        (fast,) = read_fixed_layouts([text])
        slow = parse_with_pymatgen(text)
        assert fast is not None
        assert isinstance(slow, RawCrystal)
        assert _same_sites(fast, slow, 1e-12)


def test_real_rows_are_read_as_pymatgen_reads_them(real_cifs):
    texts = real_cifs["cif"].tolist()
    fast = read_fixed_layouts(texts)
    assert all(raw is not None for raw in fast)
    for row in range(0, len(texts), 40):
        slow = parse_with_pymatgen(texts[row])
        assert np.array_equal(fast[row].numbers, slow.numbers)
        assert np.array_equal(fast[row].frac % 1.0, slow.frac)
        assert np.array_equal(fast[row].lattice, slow.lattice)


@pytest.mark.parametrize("name", KNOWN)
def test_written_symmetry_comes_back_through_pymatgen(name):
    structure = KNOWN[name]
    primitive = structure.get_primitive_structure()
    (text,) = cif_texts(from_pymatgen([primitive]), [name])
    again = Structure.from_str(text, fmt="cif")
    assert again.get_space_group_info(0.01)[1] == NUMBERS[name]
    assert f"_space_group_IT_number   {NUMBERS[name]}\n" in text
    assert len(again) == len(structure)
    assert again.composition == structure.composition
    rms = StructureMatcher().get_rms_dist(primitive, again)
    assert rms is not None
    assert rms[1] < 1e-4
    atom_lines = text.split("_atom_site_occupancy\n")[1].splitlines()
    assert len(atom_lines) == {"rutile": 2, "spinel": 3, "wurtzite": 2, "corundum": 2}[name]


@pytest.mark.parametrize("name", KNOWN)
def test_written_symmetry_is_read_back_fast_and_as_pymatgen_reads_it(name):
    (text,) = cif_texts(from_pymatgen([KNOWN[name]]), [name])
    (fast,) = read_fixed_layouts([text])
    assert fast is not None
    assert _same_sites(fast, parse_with_pymatgen(text), 1e-9)


@pytest.mark.parametrize("name", KNOWN)
def test_wyckoff_letters_and_multiplicities_are_those_of_spglib(name):
    from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

    (text,) = cif_texts(from_pymatgen([KNOWN[name]]), [name])
    found = sorted([line.split()[0], line.split()[2]] for line in text.split("occupancy\n")[1].splitlines())
    symmetrized = SpacegroupAnalyzer(KNOWN[name], 0.01).get_symmetrized_structure()
    expected = sorted([sites[0].specie.symbol, str(len(sites))] for sites in symmetrized.equivalent_sites)
    assert found == expected


def test_real_crystals_come_back_matching(real_cifs):
    crystals = admit(read_fixed_layouts(real_cifs["cif"].tolist()[::60])).crystals
    texts = cif_texts(crystals, [str(i) for i in range(len(crystals))])
    matcher = StructureMatcher()
    asymmetric = 0
    for original, text, n in zip(to_pymatgen(crystals), texts, crystals.n_atoms.tolist(), strict=True):
        again = Structure.from_str(text, fmt="cif")
        rms = matcher.get_rms_dist(original, again)
        assert rms is not None
        assert rms[1] * (original.volume / n) ** (1 / 3) < 0.02  # Å
        asymmetric += "'P 1'" in text
    assert asymmetric <= 0.1 * len(crystals)
    assert all(raw is not None for raw in read_fixed_layouts(texts))


@given(seeds)
def test_without_symmetry_the_cell_and_the_order_stay(make_crystals, same_crystals, seed):
    crystals = make_crystals(seed, 3, 8)
    crystals = crystals[crystals.n_atoms > 2]
    if not len(crystals):
        return
    texts = cif_texts(crystals, [str(i) for i in range(len(crystals))])
    assert all("_symmetry_space_group_name_H-M   'P 1'" in text for text in texts)
    again = admit(parse_cifs(texts)).crystals
    assert torch.equal(again.numbers, crystals.numbers)
    delta = again.frac - crystals.frac
    assert (delta - delta.round()).abs().max() < 1e-4 / 3  # thirds are made exact
    assert torch.allclose(again.lattice @ again.lattice.mT, crystals.lattice @ crystals.lattice.mT, atol=1e-5)


def test_other_programs_read_the_symmetric_files():
    import io

    from ase.io import read

    for name, structure in KNOWN.items():
        (text,) = cif_texts(from_pymatgen([structure]), [name])
        atoms = read(io.StringIO(text), format="cif")
        assert len(atoms) == len(structure)
        assert atoms.get_volume() == pytest.approx(structure.volume, rel=1e-6)


def test_cells_from_parameters_are_those_of_pymatgen():
    rng = np.random.default_rng(0)
    parameters = np.hstack([rng.uniform(2, 9, (50, 3)), rng.uniform(60, 115, (50, 3))])
    expected = [Lattice.from_parameters(*row).matrix for row in parameters]
    assert np.allclose(lattice_rows(parameters), expected, atol=1e-12, equal_nan=True)


def test_thirds_are_made_exact_as_in_pymatgen():
    structure = Structure(Lattice.cubic(5), ["Fe", "O"], [[0.33333, 0.66667, 0.3334], [0.1, 0.3333, 0.66663]])
    text = str(CifWriter(structure))
    (fast,) = read_fixed_layouts([text])
    assert np.array_equal(fast.frac, parse_with_pymatgen(text).frac)
    assert fast.frac[0].tolist() == [1 / 3, 2 / 3, 0.3334]


def _edited(old: str, new: str) -> str:
    text = str(CifWriter(RUTILE))
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no text"),
        ("not a CIF at all", "no atom sites"),
        ("data_x\n_cell_length_a 4\n", "no atom sites"),
        (_edited("Ti0  1  0.00000000", "Ti0  1  nowhere"), "cannot be read"),
        (_edited("Ti0  1  0.00000000", "Ti0  1  nan"), "finite|cannot be read"),
        (_edited("  O  O2", "  Qq  O2"), "cannot be read|unknown element Qq"),
        (_edited("_cell_length_a   4.59400000", "_cell_length_a   0.00000000"), "lattice vectors|cannot be read"),
        (_edited("_cell_length_a   4.59400000\n", ""), "cannot be read"),
        (_edited("_cell_angle_alpha   90.00000000", "_cell_angle_alpha   0.00000000"), "cannot be read|finite|flat"),
        (_edited("0.30500000  0.30500000  0.00000000  1\n", "0.305  0.305  0.0  0.5\n"), "partial occupancies"),
        (_edited("0.30500000  0.30500000  0.00000000  1\n", "0.305  0.305  0.0  1.5\n"), "more than one whole atom"),
        (_edited("0.69500000  0.69500000", "0.30600000  0.30600000"), "overlapping"),
        (_edited("0.69500000  0.69500000", "0.30500000  0.30500000"), "overlapping|more than one"),
    ],
)
def test_each_fault_has_its_reason(text, reason):
    admitted = admit(parse_cifs([text, str(CifWriter(RUTILE))]))
    assert admitted.rows == [1]
    with pytest.raises(AssertionError, match=reason):
        raise AssertionError(admitted.reasons[0])


def test_deuterium_is_hydrogen():
    text = str(CifWriter(Structure(Lattice.cubic(4), ["Li", "H"], [[0, 0, 0], [0.5] * 3]))).replace(
        "  H  H1", "  D  D1"
    )
    assert sorted(parse_cifs([text])[0].numbers) == [1, 3]


@pytest.mark.parametrize("layout", ["p1", "other"])
def test_a_hundred_thousand_sites_are_refused_at_once(layout):
    rng = np.random.default_rng(0)
    head, _ = str(CifWriter(RUTILE)).split("_atom_site_occupancy\n")
    sites = "".join(
        f"  O  O{k}  1  {x:.8f}  {y:.8f}  {z:.8f}  1.0\n" for k, (x, y, z) in enumerate(rng.random((100_000, 3)))
    )
    text = f"{head}_atom_site_occupancy\n{sites}"
    if layout == "other":
        text = text.replace("_symmetry_Int_Tables_number   1\n", "")
    admitted = admit(parse_cifs([text]))
    assert "100,000" in admitted.reasons[0]


def test_long_text_is_parsed_apart_and_within_a_time_limit(monkeypatch):
    text = str(CifWriter(SPINEL, symprec=0.01))
    expected = parse_cifs([text])[0]
    monkeypatch.setattr(cif_reader, "_LONG", 10)
    apart = parse_cifs([text])[0]
    assert _same_sites(apart, expected, 1e-12)
    monkeypatch.setattr(cif_reader, "TIME_LIMIT", 0.01)
    assert "took more than" in parse_cifs([text])[0]


def test_blocks_are_told_apart():
    texts = cif_texts(from_pymatgen([RUTILE, SPINEL]), ["first", "second"])
    note = "data_header\n_publ_text\n;\ndata_inside_a_text_field\n_atom_site_\n;\n"
    blocks = split_blocks(note.replace("_atom_site_", "words") + "\n".join(texts))
    assert [name for name, _ in blocks] == ["first", "second"]
    assert [len(raw.numbers) for raw in parse_cifs([text for _, text in blocks])] == [6, 56]
    assert split_blocks("no block") == [("", "no block")]
    assert len(split_blocks("data_empty\n_cell_length_a 4\n")) == 1


@given(st.lists(st.text(max_size=80), max_size=6))
def test_block_names_are_different_and_safe(ids):
    names = block_names(ids)
    assert len({name.lower() for name in names}) == len(ids)
    assert all(name and not set(name) & set(" \t\n/\\'\":*?<>|") and not name.startswith(".") for name in names)


def test_a_numbered_name_may_be_taken_already():
    assert made_different(["a", "a", "a-2", "A"]) == ["a", "a-2", "a-2-2", "A-3"]
