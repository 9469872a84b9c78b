"""CIF text: what is read is what pymatgen reads; a reading that the file contradicts is refused with both numbers."""

import io
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from minerals import MINERALS, RUTILE, SPINEL
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifParser, CifWriter
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from nucleate.crystal.elements import SYMBOLS
from nucleate.crystal.parsed_structure import ParsedStructure
from nucleate.io.bounds import as_text
from nucleate.io.cif_blocks import split_blocks
from nucleate.io.cif_reader import lattice_rows, parse_cifs
from nucleate.io.interop import to_pymatgen
from nucleate.io.validation import validate

seeds = st.integers(0, 2**32 - 1)

CUBIC = (5.64, 5.64, 5.64, 90, 90, 90)
SALT = "Na1 Na 0 0 0\nCl1 Cl 0.5 0.5 0.5"


def cif(
    sites: str = SALT,
    cell: tuple[float, ...] = CUBIC,
    head: str = "_symmetry_space_group_name_H-M 'P 1'",
    operations: str = "",
    columns: str = "label type_symbol fract_x fract_y fract_z",
) -> str:
    """A CIF of its parts."""
    names = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    lines = ["data_x", *head.splitlines(), *(f"_cell_{name} {value}" for name, value in zip(names, cell, strict=True))]
    if operations:
        lines += ["loop_", "_symmetry_equiv_pos_as_xyz", *(f"'{one}'" for one in operations.split(";"))]
    lines += ["loop_", *(f"_atom_site_{name}" for name in columns.split()), sites]
    return "\n".join(lines) + "\n"


def read(text: str) -> str:
    """Formula of what is read, or ``refused: `` and the reason."""
    validated = validate(parse_cifs([text]))
    if validated.reasons:
        return f"refused: {validated.reasons[0]}"
    numbers = validated.crystals.sites(0)[0].tolist()
    kinds = dict.fromkeys(parse_cifs([text])[0].numbers.tolist())
    return " ".join(f"{SYMBOLS[z]}{numbers.count(z)}" for z in kinds)


def group_of(text: str) -> int:
    (structure,) = to_pymatgen(validate(parse_cifs([text])).crystals)
    return SpacegroupAnalyzer(structure, 0.01).get_space_group_number()


def _same_sites(first: ParsedStructure, second: Structure, tolerance: float) -> bool:
    """Equal cells and equal sets of sites, in any order."""
    numbers = np.array([site.specie.Z for site in second])
    if sorted(first.numbers) != sorted(numbers) or np.abs(first.lattice - second.lattice.matrix).max() > tolerance:
        return False
    delta = first.frac[:, None] - second.frac_coords[None]
    near = (np.abs(delta - np.round(delta)) < tolerance).all(-1) & (first.numbers[:, None] == numbers[None])
    return bool((near.sum(0) == 1).all() and (near.sum(1) == 1).all())


def _by_pymatgen(text: str) -> Structure:
    return CifParser.from_str(text).parse_structures(primitive=False)[0]


@given(seeds)
def test_what_pymatgen_writes_in_p1_is_read_as_pymatgen_reads_it(make_crystals, seed):
    for structure in to_pymatgen(make_crystals(seed)):
        text = str(CifWriter(structure))
        (found,) = parse_cifs([text])
        assert isinstance(found, ParsedStructure)
        assert _same_sites(found, _by_pymatgen(text), 1e-12)
        assert found.notes == ()


@pytest.mark.parametrize("structure", MINERALS.values(), ids=lambda s: s.reduced_formula)
def test_what_pymatgen_writes_with_symmetry_is_read_as_pymatgen_reads_it(structure):
    text = str(CifWriter(structure, symprec=0.01))
    (found,) = parse_cifs([text])
    assert isinstance(found, ParsedStructure)
    assert _same_sites(found, _by_pymatgen(text), 1e-4)


def test_real_rows_are_read_as_pymatgen_reads_them(real_cifs):
    texts = real_cifs["cif"].tolist()
    found = parse_cifs(texts)
    assert all(isinstance(one, ParsedStructure) for one in found)
    for row in range(0, len(texts), 40):
        expected = _by_pymatgen(texts[row])
        assert np.array_equal(found[row].numbers, [site.specie.Z for site in expected])
        assert np.array_equal(found[row].frac % 1.0, expected.frac_coords)
        assert np.array_equal(found[row].lattice, expected.lattice.matrix)


@pytest.mark.parametrize("structure", MINERALS.values(), ids=lambda s: s.reduced_formula)
@pytest.mark.parametrize("digits", [2, 3, 4, 8])
def test_few_digits_cost_no_symmetry(structure, digits):
    text = str(CifWriter(structure, symprec=0.01, significant_figures=digits))
    tolerance = 10.0**-digits
    (found,) = parse_cifs([re.sub(r"_cell_volume.*\n", "", text)])
    assert isinstance(found, ParsedStructure), found
    (again,) = to_pymatgen(validate([found]).crystals)
    assert again.composition == structure.composition
    assert SpacegroupAnalyzer(again, 0.01).get_space_group_number() == structure.get_space_group_info(0.01)[1]
    assert np.abs(np.sort(again.distance_matrix.ravel()) - np.sort(structure.distance_matrix.ravel())).max() < (
        3 * tolerance * max(structure.lattice.abc)
    )


@pytest.mark.parametrize("program", ["ase", "gemmi"])
@pytest.mark.parametrize("structure", MINERALS.values(), ids=lambda s: s.reduced_formula)
def test_what_other_programs_write_is_read(structure, program):
    if program == "ase":
        from ase.io import write

        stream = io.BytesIO()
        write(stream, structure.to_ase_atoms(), format="cif")
        text = stream.getvalue().decode()
    else:
        import gemmi

        small = gemmi.make_small_structure_from_block(gemmi.cif.read_string(str(CifWriter(structure)))[0])
        text = small.make_cif_block().as_string()
    (found,) = parse_cifs([text])
    assert isinstance(found, ParsedStructure), found
    assert len(found.numbers) == len(structure)
    assert abs(np.linalg.det(found.lattice)) == pytest.approx(structure.volume, rel=1e-4)


def test_cells_from_parameters_are_those_of_pymatgen():
    rng = np.random.default_rng(0)
    parameters = np.hstack([rng.uniform(2, 9, (50, 3)), rng.uniform(60, 115, (50, 3))])
    expected = [Lattice.from_parameters(*row).matrix for row in parameters]
    assert np.allclose(lattice_rows(parameters), expected, atol=1e-12, equal_nan=True)


def test_thirds_are_made_exact_as_in_pymatgen():
    structure = Structure(Lattice.cubic(5), ["Fe", "O"], [[0.33333, 0.66667, 0.3334], [0.1, 0.3333, 0.66663]])
    (found,) = parse_cifs([str(CifWriter(structure))])
    assert found.frac[0].tolist() == [1 / 3, 2 / 3, 0.3334]
    assert found.frac[1].tolist() == [0.1, 1 / 3, 2 / 3]


# Symmetry: from the loop, else Hall, else Hermann-Mauguin, else the number.

MONOCLINIC = (5.0, 6.0, 7.0, 90, 100, 90)
GENERAL = "Ca1 Ca 0.1 0.2 0.3"
SILICON = (5.43, 5.43, 5.43, 90, 90, 90)
P63MMC = (
    "x,y,z;-y,x-y,z;-x+y,-x,z;-x,-y,z+1/2;y,-x+y,z+1/2;x-y,x,z+1/2;y,x,-z;x-y,-y,-z;-x,-x+y,-z;-y,-x,-z+1/2;"
    "-x+y,y,-z+1/2;x,x-y,-z+1/2;-x,-y,-z;y,-x+y,-z;x-y,x,-z;x,y,-z+1/2;-y,x-y,-z+1/2;-x+y,-x,-z+1/2;-y,-x,z;"
    "-x+y,y,z;x,x-y,z;y,x,z+1/2;x-y,-y,z+1/2;-x,-x+y,z+1/2"
)


@pytest.mark.parametrize(
    ("head", "cell", "sites", "formula", "group"),
    [
        ("_symmetry_space_group_name_Hall '-P 2yn'", MONOCLINIC, GENERAL, "Ca4", 14),
        ("_space_group_name_Hall '-P 1'", (5, 6, 7, 80, 100, 95), GENERAL, "Ca2", 2),
        ("_space_group_name_H-M_alt 'F 4/m -3 2/m'", CUBIC, SALT, "Na4 Cl4", 225),
        ("_space_group_name_H-M_alt 'Fm3m'", CUBIC, SALT, "Na4 Cl4", 225),
        ("_space_group_name_H-M_alt 'FM-3M'", CUBIC, SALT, "Na4 Cl4", 225),
        ("_symmetry_space_group_name_H-M 'P 21/n'", MONOCLINIC, GENERAL, "Ca4", 14),
        ("_symmetry_space_group_name_H-M 'P 1 2_1/c 1'", MONOCLINIC, GENERAL, "Ca4", 14),
        ("_symmetry_space_group_name_H-M 'P 1 1 21/b'", (5, 6, 7, 90, 90, 100), GENERAL, "Ca4", 14),
        ("_space_group_name_H-M_alt 'C 1 2/c 1'", MONOCLINIC, GENERAL, "Ca8", 15),
        ("_space_group_IT_number 14", MONOCLINIC, GENERAL, "Ca4", 14),
        ("_space_group_IT_number 14", (5, 6, 7, 90, 90, 100), GENERAL, "Ca4", 14),
        ("_space_group_name_H-M_alt 'P 21/n 21/m 21/a'", (5, 6, 7, 90, 90, 90), GENERAL, "Ca8", 62),
        ("_space_group_name_H-M_alt 'P b n m'", (5, 6, 7, 90, 90, 90), GENERAL, "Ca8", 62),
        ("_space_group_name_H-M_alt 'F d -3 m :2'", SILICON, "Si1 Si 0.125 0.125 0.125", "Si8", 227),
        ("_space_group_name_H-M_alt 'F d -3 m :1'", SILICON, "Si1 Si 0 0 0", "Si8", 227),
        ("_space_group_name_H-M_alt 'F d -3 m S'", SILICON, "Si1 Si 0 0 0", "Si8", 227),
        ("_space_group_name_H-M_alt 'Fd-3mZ'", SILICON, "Si1 Si 0.125 0.125 0.125", "Si8", 227),
        (
            "_space_group_name_H-M_alt 'F d -3 m'\n_chemical_formula_sum 'Si8'\n_cell_formula_units_Z 8",
            *(SILICON, "Si1 Si 0 0 0", "Si8", 227),
        ),
        (
            "_space_group_name_H-M_alt 'F d -3 m'\n_chemical_formula_sum Si\n_cell_formula_units_Z 8",
            *(SILICON, "Si1 Si 0.125 0.125 0.125", "Si8", 227),
        ),
        (
            *("_symmetry_space_group_name_H-M 'R 3 2'", (4.0718, 4.0718, 4.0718, 89.459, 89.459, 89.459)),
            *("S1 S 0.2521 0.2521 0.2521\nNi1 Ni 0.5 0.2449 -0.2449", "S2 Ni3", 155),
        ),
        (
            *("_symmetry_Int_Tables_number 155", (4.0718, 4.0718, 4.0718, 89.459, 89.459, 89.459)),
            *("S1 S 0.2521 0.2521 0.2521\nNi1 Ni 0.5 0.2449 -0.2449", "S2 Ni3", 155),
        ),
        (
            *("_symmetry_space_group_name_H-M 'R -3 c'", (4.757, 4.757, 12.9877, 90, 90, 120)),
            *("Al1 Al 0 0 0.3522\nO1 O 0.3063 0 0.25", "Al12 O18", 167),
        ),
    ],
)
def test_symmetry_is_understood_however_it_is_stated(head, cell, sites, formula, group):
    text = cif(sites, cell, head)
    assert read(text) == formula
    assert group_of(text) == group


@pytest.mark.parametrize(
    ("operations", "cell", "sites", "formula", "group"),
    [
        (" X,Y,Z; -X,1/2+Y,1/2-Z; -X,-Y,-Z; X,1/2-Y,1/2+Z", MONOCLINIC, GENERAL, "Ca4", 14),
        ("x,y,z;-x+.5,y+0.5,-z+1/2;-x,-y,-z;x-1/2,-y-1/2,z-1/2", MONOCLINIC, GENERAL, "Ca4", 14),
        (P63MMC, (3.16, 3.16, 12.29, 90, 90, 120), "Mo1 Mo 0.333 0.667 0.25\nS1 S 0.333 0.667 0.621", "Mo2 S4", 194),
        (P63MMC, (3.16, 3.16, 12.29, 90, 90, 120), "Mo1 Mo 0.33 0.67 0.25\nS1 S 0.33 0.67 0.621", "Mo2 S4", 194),
        (P63MMC, (5.5, 5.5, 9, 90, 90, 120), "Nb1 Nb 0.167 0.333 0.25\nO1 O 0.521 0.042 0.25", "Nb6 O6", 194),
    ],
)
def test_operations_listed_are_applied(operations, cell, sites, formula, group):
    text = cif(sites, cell, "", operations)
    assert read(text) == formula
    assert group_of(text) == group


FM3M = "_symmetry_space_group_name_H-M 'F m -3 m'\n_symmetry_Int_Tables_number 225"
MULTIPLE = "label type_symbol symmetry_multiplicity fract_x fract_y fract_z"


@pytest.mark.parametrize(
    ("text", "formula", "word"),
    [
        # Only the identity is listed, but formula and Z say that the group is meant.
        (
            cif(SALT, head=f"{FM3M}\n_chemical_formula_sum 'Na4 Cl4'\n_cell_formula_units_Z 4", operations="x,y,z"),
            *("Na4 Cl4", "the latter agrees"),
        ),
        (
            cif("Na1 Na 4 0 0 0\nCl1 Cl 4 .5 .5 .5", head=FM3M, operations="x,y,z;-x,-y,-z", columns=MULTIPLE),
            *("Na4 Cl4", "the latter agrees"),
        ),
        # All atoms are listed: the group changes nothing.
        (
            cif(
                "\n".join(f"Na{i} Na {x}\nCl{i} Cl {y}" for i, (x, y) in enumerate(
                    [("0 0 0", "0.5 0 0"), ("0 0.5 0.5", "0 0 0.5"), ("0.5 0 0.5", "0 0.5 0"),
                     ("0.5 0.5 0", "0.5 0.5 0.5")])),
                head=FM3M, operations="x,y,z",
            ),
            *("Na4 Cl4", "the operations listed are P 1"),
        ),
        (cif("C1 C 0.1 0.2 0.3\nC1A C -0.1 -0.2 -0.3", head="", operations="x,y,z;-x,-y,-z"), "C2", "C1A: images"),
        (cif(head=""), "Na1 Cl1", "no symmetry is stated"),
        (cif(cell=(5.64, 5.64, 5.64, "?", ".", 90)), "Na1 Cl1", "90° by the dictionary"),
        (cif("Mo1 Mo 0.33 0.67 0.25", (3.16, 3.16, 12, 90, 90, 120), "", P63MMC), "Mo2", "onto special positions"),
        (cif("D1 D1+ 0.1 0 0\nO1 O2- 0.5 0.5 0.5"), "H1 O1", "deuterium"),
    ],
)  # fmt: skip
def test_what_is_repaired_is_said(text, formula, word):
    assert read(text) == formula
    assert word in "; ".join(parse_cifs([text])[0].notes)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (cif(head=FM3M, operations="x,y,z"), "P 1 gives Na1 Cl1, F m -3 m gives Na4 Cl4"),
        (cif(head="_space_group_name_H-M_alt 'F d -3 m'"), "does not say which origin or axes"),
        (cif(head="_space_group_name_H-M_alt 'F x -3 q'"), "unknown space group F x -3 q"),
        (cif(head=f"{FM3M[:45]}\n_space_group_IT_number 221"), "space groups stated are different"),
        (cif(head="", operations="x,y,z;-x,-y,z;x,-y,-z"), "are no group"),
        (cif(head="", operations="-x,-y,-z"), "are no group"),
        (cif(head="", operations="x,y"), "'x,y' is not understood"),
        (cif(head="", operations="x+1/0,y,z"), "is not understood"),
        (cif(head="", operations="x+1/" + "9" * 5000 + ",y,z"), "is not understood"),
        (cif(head="", operations="x,y,2*z"), "not understood|changes the volume"),
        (cif(head="", operations="x,y,z/2"), "not understood|changes the volume"),
        (cif(cell=(5, 6, 7, 90, 90, 90), head=FM3M), "does not fit the cell"),
        (cif(cell=(5, 6, 7, 90, 90, 90), head="", operations="x,y,z;z,x,y;y,z,x"), "does not fit the cell"),
        (
            cif(head="_chemical_formula_sum 'Na4 Cl4'\n_cell_formula_units_Z 4"),
            "the cell has Na1 Cl1, but the formula is Na4 Cl4 with Z = 4",
        ),
        (cif(head="_chemical_formula_sum 'Mg O2 H2'"), "the cell has Na1 Cl1, but the formula is Mg1 O2 H2"),
        (cif(head="_chemical_formula_sum 'Na2 Cl'"), "the cell has Na1 Cl1, but the formula is Na2 Cl1"),
        (cif(head="_chemical_formula_sum NaCl\n_cell_formula_units_Z 29.7"), "Z = 29.7"),
        (cif(head="_chemical_formula_sum NaCl\n_cell_formula_units_Z -1"), "Z = -1"),
        (cif(head="_cell_volume 212.7"), "the cell has 179.406 Å³, but _cell_volume is 212.7"),
        (cif(head="_exptl_crystal_density_diffrn 2.17"), "the density is 0.5409 g/cm³, but the file says 2.17"),
        (cif("Na1 Na 2 0 0 0\nCl1 Cl 1 .5 .5 .5", columns=MULTIPLE), "site Na1 has 1 images, but .* is 2"),
        (cif("Na1 Na 1e9 0 0 0\nCl1 Cl 1 .5 .5 .5", columns=MULTIPLE), "'1e9' is no multiplicity"),
    ],
)
def test_what_disagrees_is_refused_with_both_numbers(text, reason):
    assert re.search(reason, read(text)), read(text)
    assert read(text).startswith("refused")


# Types, labels, occupancies.


@pytest.mark.parametrize(
    ("symbol", "element"),
    [
        *(("Fe3+", "Fe"), ("Fe+3", "Fe"), ("O2-", "O"), ("O-2", "O"), ("Fe3+,spin=5", "Fe"), ("Fe(III)", "Fe")),
        *(("FE", "Fe"), ("cl", "Cl"), ("Na1", "Na"), ("Fe0+", "Fe"), ("Fe2.5+", "Fe"), ("Sival", "Si"), ("W", "W")),
        *(("D", "H"), ("T", "H"), ("D1+", "H"), ("2H", "H"), ("V5+", "V"), ("Yb", "Yb"), ("Ho3+", "Ho"), ("U", "U")),
    ],
)
def test_types_of_one_element(symbol, element):
    assert read(cif(f"X1 {symbol} 0 0 0")) == f"{element}1"


@pytest.mark.parametrize(
    ("symbol", "reason"),
    [
        *(
            (one, "hydrogens that have no positions")
            for one in ("OH", "OH-", "OH1-", "OH2", "H2O", "Wat", "NH4+", "CH3")
        ),
        *((one, "a vacancy") for one in ("Va", "VA", "Vac", "Vacancy")),
        *((one, "a dummy") for one in ("Du", "X", "Xx", "Q", "Bq", "Lp")),
        *((one, "unknown element") for one in ("Uuo", "Og", "M", "Qq", "Cn", "R", "CO", "NO", "N2")),
        *((one, "partial occupancies") for one in ("'0.75Si + 0.25Al'", "Si/Al", "'Fe, Mn'")),
        *((one, "no element is named") for one in ("*", "'**'")),
    ],
)
def test_types_that_are_no_atom_are_refused_by_name(symbol, reason):
    found = read(cif(f"Mg1 Mg 0 0 0\nSite7 {symbol} 0.5 0.5 0.5"))
    assert found.startswith("refused: site Site7")
    assert reason in found


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        *(("Na1", "Na1"), ("CL2", "Cl1"), ("Fe1A", "Fe1"), ("FeA", "Fe1"), ("OA", "O1"), ("O1w", "O1"), ("D1", "H1")),
        *(
            ("O_1", "O1"),
            ("Ca", "Ca1"),
            ("Ow1", "refused"),
            ("OH1", "refused"),
            ("Wat1", "refused"),
            ("Va1", "refused"),
        ),
        *(("Du1", "refused"), ("X1", "refused"), ("M1", "refused"), ("1", "refused"), ("T1", "refused")),
        *(("H2O1", "refused"), ("Q2", "refused"), ("Oap", "refused")),
    ],
)
def test_labels_stand_in_for_types_where_they_are_plain(label, expected):
    assert read(cif(f"{label} 0 0 0", columns="label fract_x fract_y fract_z")).startswith(expected)


def test_the_formula_tells_what_a_label_means():
    columns = "label fract_x fract_y fract_z"
    assert read(cif("CA1 0 0 0", head="_chemical_formula_sum C", columns=columns)) == "C1"
    assert read(cif("CA1 0 0 0", head="_chemical_formula_sum Ca", columns=columns)) == "Ca1"
    assert read(cif("Oap 0 0 0", head="_chemical_formula_sum O", columns=columns)) == "O1"
    assert read(cif("Co1 CO 0 0 0", head="_chemical_formula_sum Co")) == "Co1"


@pytest.mark.parametrize(
    ("sites", "columns", "reason"),
    [
        ("Na1 Na 0 0 0 0.5", "occupancy", "site Na1: partial occupancies"),
        ("Na1 Na 0 0 0 0", "occupancy", "site Na1: partial occupancies"),
        ("Na1 Na 0 0 0 1.5", "occupancy", "site Na1: more than one whole atom"),
        ("Na1 Na 0 0 0 much", "occupancy", "'much' is no occupancy"),
        ("Na1 Na 0 0 0 1\nCl1 Cl .5 .5 .5 2", "disorder_group", "site Na1: disorder"),
        ("O1 O 0 0 0 1", "attached_hydrogens", "hydrogens attached to O1"),
        ("Na1 Na 0 0 0 dum", "calc_flag", "site Na1: a dummy"),
        ("Na1 Na ? . ? 1", "occupancy", "site Na1: no coordinates"),
        ("Na1 Na 0 0 nowhere 1", "occupancy", "site Na1: 'nowhere' is not a finite coordinate"),
        ("Na1 Na 0 0 nan 1", "occupancy", "'nan' is not a finite coordinate"),
        ("Na1 Na 0 0 1/0 1", "occupancy", "'1/0' is not a finite coordinate"),
        ("OH1 O 0 0 0 1", "occupancy", "hydrogens of OH1 have no positions"),
    ],
)
def test_sites_are_refused_by_name(sites, columns, reason):
    assert reason in read(cif(sites, columns=f"label type_symbol fract_x fract_y fract_z {columns}"))


@pytest.mark.parametrize("text", ["?", ".", "1.0000(5)", "0.9999", "1."])
def test_occupancies_of_one_atom(text):
    columns = "label type_symbol fract_x fract_y fract_z occupancy"
    assert read(cif(f"Na1 Na 0 0 0 {text}", columns=columns)) == "Na1"


def test_hydrogens_that_the_formula_confirms_are_not_missed():
    columns = "label type_symbol fract_x fract_y fract_z attached_hydrogens"
    sites = "O1 O 0 0 0 1\nH1 H 0.2 0 0 0"
    assert read(cif(sites, head="_chemical_formula_sum OH\n_cell_formula_units_Z 1", columns=columns)) == "O1 H1"


def test_fractions_are_coordinates():
    (found,) = parse_cifs([cif("Zn1 Zn 1/3 2/3 -3/8")])
    assert found.frac.tolist() == [[1 / 3, 2 / 3, -0.375]]


# Text.


@pytest.mark.parametrize(
    "text",
    [
        cif().replace("data_x", "data_x\n_publ_text\n;\ndata_inside was read\nloop_\n_atom_site_label\n;"),
        cif().replace("loop_\n_atom", "loop_\n_atom_site_aniso_label\n_atom_site_aniso_U_11\nNa1 0.01\nloop_\n_atom"),
        "data_global\n_journal x\n;\n_atom_site_label\nloop_\n;\n" + cif(),
        re.sub(r"(_atom_site\S+)\n", r" \1 ", cif()).replace("\nCl1", " Cl1"),
        cif().replace("_cell_length_a 5.64", "_CELL_LENGTH_A 5.640(2)"),
        cif().replace("_cell_length", "_cell.length").replace("_atom_site_", "_atom_site."),
        cif().replace("\n", "\r\n"),
        "#\\#CIF_1.1\n\n" + cif() + "#END\n\x1a",
        cif(head="_symmetry_space_group_name_H-M\n_symmetry_Int_Tables_number"),
    ],
)
def test_cif_grammar(text):
    assert [read(block) for _, block in split_blocks(text)] == ["Na1 Cl1"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"])
def test_encodings(encoding):
    text = cif(head="_publ_section_title 'Straße 5 Å'")
    assert as_text(text.encode(encoding)) == text
    assert read(as_text(text.encode(encoding))) == "Na1 Cl1"


def test_magnetic_files_are_read_without_their_moments():
    text = cif("Mn1 Mn 0.1 0.2 0.1\nO1 O 0 0 0", (5, 6, 14, 90, 95, 90), "") + (
        "loop_\n_space_group_symop_magn_operation.xyz\nx,y,z,+1\n-x,-y,-z,+1\n"
        "loop_\n_space_group_symop_magn_centering.xyz\nx,y,z,+1\nx,y,z+1/2,-1\n"
        "loop_\n_atom_site_moment.label\n_atom_site_moment.crystalaxis_x\nMn1 4.0\n"
    )
    assert read(text) == "Mn4 O2"
    assert "moments were not read" in parse_cifs([text])[0].notes[0]


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
        (cif().removeprefix("data_x\n"), "no line data_"),
        (cif().replace("_cell_length_b 5.64\n", ""), "no _cell_length_b"),
        (cif(cell=("4,5", 5, 5, 90, 90, 90)), "_cell_length_a is '4,5'"),
        (cif() + "_cell_length_a 4.2\n", "_cell_length_a stands twice"),
        (cif() + "_publ_text\n;\nnever ends", "cannot be read"),
        (cif(SALT + " 0.5"), "cannot be read"),
        (_edited("  O  O2", "  Qq  O2"), "unknown element Qq"),
        (_edited("_cell_length_a   4.59400000", "_cell_length_a   0.00000000"), "lattice vectors"),
        (_edited("_cell_angle_alpha   90.00000000", "_cell_angle_alpha   0.00000000"), "finite|flat"),
        (_edited("0.69500000  0.69500000", "0.30600000  0.30600000"), "overlapping"),
        (_edited("0.69500000  0.69500000", "0.30500000  0.30500000"), "overlapping"),
        (_edited("  O  O5  1  0.69500000  0.69500000  0.00000000  1", "").strip(), "Ti2 O3, but the formula is Ti2 O4"),
    ],
)
def test_each_fault_of_the_text_has_its_reason(text, reason):
    validated = validate(parse_cifs([text, str(CifWriter(RUTILE))]))
    assert validated.rows == [1]
    assert re.search(reason, validated.reasons[0]), validated.reasons[0]


@given(seed=seeds)
def test_damaged_text_is_no_other_composition(seed):
    """A byte changed in a file that states its formula: refused, or the same composition."""
    rng = np.random.default_rng(seed)
    text = str(CifWriter(SPINEL, symprec=0.01))
    start = text.index("_cell_formula_units_Z")
    place = int(rng.integers(start, len(text)))
    damaged = text[:place] + chr(rng.integers(32, 127)) + text[place + 1 :]
    (found,) = parse_cifs([damaged])
    if isinstance(found, ParsedStructure):
        assert sorted(found.numbers) == sorted(site.specie.Z for site in SPINEL)


# Bounds.


def test_a_hundred_thousand_sites_are_refused_unread():
    sites = "\n".join(f"O{k} O 0 0 0" for k in range(100_000))
    assert "100,000 rows" in read(cif(sites))


def test_many_sites_under_many_operations_are_refused_at_once():
    rng = np.random.default_rng(0)
    sites = "\n".join(f"C{k} C {x:.3f} {y:.3f} {z:.3f}" for k, (x, y, z) in enumerate(rng.random((300, 3))))
    assert "more than 20,000 atoms" in read(cif(sites, (30, 30, 30, 90, 90, 90), "_space_group_name_H-M_alt 'Fm-3m'"))
    many = ";".join(f"x+{k}/24,y+{m}/24,z+{n}/24" for k in range(24) for m in range(24) for n in range(2))
    assert "1,152 rows" in read(cif(head="", operations=many))


@pytest.mark.parametrize(
    "text",
    [
        "\n" * 3_000_000 + "_atom_site",
        "data_x\n" + " " * 3_000_000 + cif().removeprefix("data_x"),
        cif("Na1 " + "+-" * 500_000 + " 0 0 0"),
        cif("+-" * 500_000 + " ? 0 0 0"),
        cif("Na1 Na " + "1" * 1_000_000 + "x 0 0"),
        cif(head="_chemical_formula_sum '" + "A" * 1_000_000 + "'"),
        cif(head="_space_group_name_H-M_alt '" + "P " * 500_000 + "'"),
        cif(head="", operations="x,y," + "z+" * 500_000),
    ],
)
def test_long_texts_cost_no_more_than_their_length(text):
    assert len(read(text)) < 400  # a pattern that went back and forth over them would not end


def test_blocks_are_told_apart():
    texts = [str(CifWriter(RUTILE)).replace("data_TiO2", "data_a b"), str(CifWriter(SPINEL)), cif()]
    note = "data_header\n_publ_text\n;\ndata_inside_a_text_field\n_atom_site_\n;\n"
    blocks = split_blocks(note + "\n".join(texts) + cif())
    assert [name for name, _ in blocks] == ["a", "MgAl2O4", "x", "x"]
    assert split_blocks("no block") == [("", "no block")]
    assert len(split_blocks("data_empty\n_cell_length_a 4\n")) == 1


@pytest.mark.parametrize("name", ["_space_group_name_Hall", "_space_group_name_H-M_alt"])
def test_symbols_with_other_letters_are_unknown(name):
    assert "unknown space group" in read(cif(head=f"{name} '😀 6c -2c'"))
