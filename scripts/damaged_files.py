"""Sound files of every format that is read, and damaged ones made of them, the same for the same seed."""

from __future__ import annotations

import gzip
import io
import json
import re
import tarfile
import tempfile
import warnings
import zipfile
from functools import lru_cache
from pathlib import Path
from random import Random

import ase.io
import gemmi
import torch
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor
from pymatgen.io.cif import CifWriter
from pymatgen.io.res import ResIO

from nucleate.crystal.crystals import Crystals
from nucleate.io.files import write_structures
from nucleate.io.interop import from_pymatgen

CRYSTALS = {
    "salt": Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5] * 3]),
    "rutile": Structure.from_spacegroup(
        "P4_2/mnm", Lattice.tetragonal(4.594, 2.959), ["Ti", "O"], [[0, 0, 0], [0.305, 0.305, 0]]
    ),
    "wurtzite": Structure.from_spacegroup(
        "P6_3mc", Lattice.hexagonal(3.25, 5.207), ["Zn", "O"], [[1 / 3, 2 / 3, 0], [1 / 3, 2 / 3, 0.3819]]
    ),
    "triclinic": Structure(
        Lattice.from_parameters(4.1, 5.2, 6.3, 81, 95, 104), ["Li", "Fe", "P", "O"],
        [[0.1, 0.2, 0.3], [0.6, 0.1, 0.8], [0.3, 0.7, 0.5], [0.8, 0.6, 0.1]],
    ),
}  # fmt: skip
WORDS = "0 -1 1 2 0.5 1e308 1e-308 nan inf 29.7 ? . 999999999 1/0 50*1 ² x,y,z H He Og D Va OH [ { \" ' , : = ;".split()
WORDS += ["9" * 4400, "１", "\u2028", "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"), "self"]
LIGHT = ("cif", "poscar", "extxyz", "res", "xdatcar", "csv", "zip", "tar.gz", "cif.gz")
PACKED = ("zip", "tar.gz", "cif.gz")
HEAVY = ("db", "traj", "json", "parquet", "pwo", "pt")
"""Formats read here, those of them that hold other files, and those read elsewhere, of which there are fewer files."""


@lru_cache(maxsize=1)
def seeds() -> dict[str, list[bytes]]:
    """Sound files of each format."""
    found: dict[str, list[bytes]] = {layout: [] for layout in (*LIGHT, *HEAVY)}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, structure in CRYSTALS.items():
            crystals = from_pymatgen([structure])
            found["cif"] += [
                str(CifWriter(structure)).encode(),
                str(CifWriter(structure, symprec=0.01)).encode(),
                written(crystals, Path(folder) / f"{name}.cif"),
                gemmi_cif(structure),
            ]
            for layout in PACKED:
                found[layout].append(packed(layout, found["cif"][-2]))
            found["res"].append(ResIO.structure_to_str(structure).encode())
            found["json"].append(json.dumps(structure.as_dict()).encode())
            for layout in ("extxyz", "csv", "db", "parquet"):
                found[layout].append(written(crystals, Path(folder) / f"{name}.{layout}"))
            text = structure.to(fmt="poscar")
            found["poscar"] += [text.encode(), text.replace("direct", "selective dynamics\ndirect").encode()]
            found["xdatcar"].append(text.replace("direct", "Direct configuration= 1").encode())
            atoms = AseAtomsAdaptor.get_atoms(structure)
            ase.io.write(f"{folder}/{name}.traj", atoms)
            found["traj"].append(Path(f"{folder}/{name}.traj").read_bytes())
            found["pwo"].append(pwscf(structure))
            found["pt"].append(stored(structure))
    return found


def written(crystals: Crystals, path: Path) -> bytes:
    """Crystals as our own writers write them."""
    write_structures(crystals, path, [path.stem])
    return path.read_bytes()


def gemmi_cif(structure: Structure) -> bytes:
    """A structure in P1 as gemmi writes it."""
    small = gemmi.SmallStructure()
    small.name = "gemmi"
    small.cell = gemmi.UnitCell(*structure.lattice.parameters)
    small.spacegroup_hm = "P 1"
    for k, site in enumerate(structure):
        one = gemmi.SmallStructure.Site()
        one.label, one.type_symbol = f"{site.specie}{k + 1}", str(site.specie)
        one.element, one.fract = gemmi.Element(str(site.specie)), gemmi.Fractional(*site.frac_coords)
        small.add_site(one)
    return small.make_cif_block().as_string().encode()


def packed(layout: str, content: bytes) -> bytes:
    """A CIF in a zip or a compressed tar, or compressed by itself."""
    stream = io.BytesIO()
    if layout == "zip":
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(zipfile.ZipInfo("a.cif"), content, zipfile.ZIP_DEFLATED)
        return stream.getvalue()
    if layout == "tar.gz":
        with tarfile.open(fileobj=stream, mode="w") as tar:
            entry = tarfile.TarInfo("a.cif")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        content = stream.getvalue()
    return gzip.compress(content, mtime=0)


def pwscf(structure: Structure) -> bytes:
    """The parts of an output of Quantum ESPRESSO that hold a structure."""
    bohr = 0.529177210903
    rows = [
        f"               a({i + 1}) = ({row[0]:11.6f}{row[1]:11.6f}{row[2]:11.6f} )"
        for i, row in enumerate(structure.lattice.matrix)
    ]
    sites = [
        f"      {k + 1:4d}  {site.specie!s:>10}  tau({k + 1:4d}) = ({site.x:12.7f}{site.y:12.7f}{site.z:12.7f}  )"
        for k, site in enumerate(structure)
    ]
    return "\n".join(
        [
            "     Program PWSCF v.7.0 starts on 27Jan2022 at 16:39:19", "",
            "     bravais-lattice index     =            0",
            f"     lattice parameter (alat)  = {1 / bohr:12.4f}  a.u.",
            f"     unit-cell volume          = {structure.volume / bohr**3:12.4f} (a.u.)^3",
            f"     number of atoms/cell      = {len(structure):12d}",
            f"     number of atomic types    = {len(structure.elements):12d}", "",
            f"     celldm(1)= {1 / bohr:10.6f}  celldm(2)=   0.000000  celldm(3)=   0.000000", "",
            "     crystal axes: (cart. coord. in units of alat)", *rows, "", "   Cartesian axes", "",
            "     site n.     atom                  positions (alat units)", *sites, "",
            "!    total energy              =     -10.00000000 Ry", "",
        ]
    ).encode()  # fmt: skip


def stored(structure: Structure) -> bytes:
    """A structure as CDVAE stores generated ones."""
    stream = io.BytesIO()
    batch = {
        "frac_coords": torch.tensor(structure.frac_coords),
        "atom_types": torch.tensor(structure.atomic_numbers),
        "num_atoms": torch.tensor([len(structure)]),
        "lengths": torch.tensor([structure.lattice.abc]),
        "angles": torch.tensor([structure.lattice.angles]),
    }
    torch.save(batch, stream)
    return stream.getvalue()


def mutant(seed: int, k: int, formats: tuple[str, ...]) -> tuple[str, bytes]:
    """Format and content of file k, except that a database holds the time and a random number."""
    random = Random(f"{seed}/{k}")
    light = [one for one in formats if one in LIGHT]
    heavy = [one for one in formats if one in HEAVY]
    layout = random.choice(light if light and (not heavy or random.random() < 0.9) else heavy)
    if layout in PACKED and random.random() < 0.7:  # damaged inside, but well packed
        return layout, packed(layout, mutant(seed, k, ("cif",))[1])
    content = random.choice(seeds()[layout])
    for _ in range(random.choices([1, 2, 3], [7, 2, 1])[0]):
        change = random.choice([in_words, in_words, in_lines] if is_text(layout) else [in_bytes])
        content = random.choice([change, change, change, change, change, in_bytes])(content, random)
    return layout, content


def is_text(layout: str) -> bool:
    """Whether files of a format are text."""
    return layout in {"cif", "poscar", "extxyz", "res", "xdatcar", "csv", "json", "pwo"}


def in_bytes(content: bytes, random: Random) -> bytes:
    """Content with a byte changed, a part cut out, repeated or filled, or the end missing."""
    if not content:
        return content
    start = random.randrange(len(content))
    stop = min(len(content), start + random.choice([1, 1, 1, 2, 8, 64, 512]))
    part = content[start:stop]
    new = random.choice([bytes([random.randrange(256)]), b"", part * 2, b"\0" * len(part), b"\xff" * len(part)])
    return content[:start] if random.random() < 0.1 else content[:start] + new + content[stop:]


def in_words(content: bytes, random: Random) -> bytes:
    """Text with a word or number replaced by an odd one, another of the text, or a number near it."""
    text = content.decode(errors="replace")
    words = list(re.finditer(r"[^\s,\[\]{}\"':]+", text))
    if not words:
        return content
    word = random.choice(words)
    number = re.fullmatch(r"[-+]?\d+(\.\d*)?", word[0])
    near = (
        str(round(float(word[0]) * random.choice([1.01, 0.5, 2, -1, 10]), 6)) if number and len(word[0]) < 30 else "0"
    )
    new = random.choice([random.choice(WORDS), random.choice(words)[0], near, near, near, "", word[0][:-1]])
    return (text[: word.start()] + new + text[word.end() :]).encode(errors="replace")


def in_lines(content: bytes, random: Random) -> bytes:
    """Text with a line removed, repeated, or exchanged with another."""
    lines = content.splitlines(keepends=True)
    if not lines:
        return content
    i, j = random.randrange(len(lines)), random.randrange(len(lines))
    match random.choice(["remove", "repeat", "exchange", "many"]):
        case "remove":
            del lines[i]
        case "repeat":
            lines.insert(j, lines[i])
        case "exchange":
            lines[i], lines[j] = lines[j], lines[i]
        case _:
            lines[i] = lines[i] * 2000
    return b"".join(lines)
