"""Known crystals by which readers and writers are compared with other programs."""

from pymatgen.core import Lattice, Structure

SALT = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5] * 3])
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
MINERALS = {"rutile": RUTILE, "spinel": SPINEL, "wurtzite": WURTZITE, "corundum": CORUNDUM}
