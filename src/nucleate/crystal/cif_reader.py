"""CIF text to sites: a strict fast path for the common P1 layout, pymatgen's parser for everything else."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence

import numpy as np

from nucleate.crystal.elements import NUMBERS
from nucleate.crystal.intake import MAX_SITES, RawCrystal

MAX_BLOCK_CHARS = 8_000_000
"""Length of one structure's text; more is refused unread."""

MAX_PARSED_SITES = 4_000
"""Lines of atoms that the general parser, whose cost is quadratic, is asked to read."""

_CAREFUL_CHARS = 100_000  # above this the general parser runs in a process of its own, with a time limit
_TIME_LIMIT = 30.0  # seconds

_NUMBER = r"-?[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?"
_CELL = "".join(
    rf"_cell_{kind}[ \t]+({_NUMBER})[ \t]*\n"
    for kind in ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
)
_P1 = re.compile(
    r"\s*+(?:\#[^\n]*\n)*+data_\S*[ \t]*\n"
    r"_symmetry_space_group_name_H-M[ \t]+'P[ ]1'[ \t]*\n" + _CELL + r"_symmetry_Int_Tables_number[ \t]+1[ \t]*\n"
    r"_chemical_formula_structural[ \t]+\S+[ \t]*\n"
    r"_chemical_formula_sum[ \t]+(?:'[^'\n]*'|[A-Za-z0-9]+)[ \t]*\n"
    rf"_cell_volume[ \t]+{_NUMBER}[ \t]*\n"
    r"_cell_formula_units_Z[ \t]+[0-9]+[ \t]*\n"
    r"loop_[ \t]*\n[ ]_symmetry_equiv_pos_site_id[ \t]*\n[ ]_symmetry_equiv_pos_as_xyz[ \t]*\n"
    r"[ \t]+1[ \t]+'x,[ ]y,[ ]z'[ \t]*\n"
    r"loop_[ \t]*\n[ ]_atom_site_type_symbol[ \t]*\n[ ]_atom_site_label[ \t]*\n"
    r"[ ]_atom_site_symmetry_multiplicity[ \t]*\n[ ]_atom_site_fract_x[ \t]*\n[ ]_atom_site_fract_y[ \t]*\n"
    r"[ ]_atom_site_fract_z[ \t]*\n[ ]_atom_site_occupancy[ \t]*\n"
    rf"((?:[ \t]+[A-Z][a-z]?[ \t]+[A-Za-z0-9]+[ \t]+1(?:[ \t]+{_NUMBER}){{3}}[ \t]+1(?:\.0*)?[ \t]*(?:\n|\Z))++)\s*"
)


def parse_cifs(texts: Sequence[str]) -> list[RawCrystal | str]:
    """Sites of each CIF text that holds one structure, or the reason why there are none.

    Coordinates within 1e-4 (relative) of 1/3 or 2/3 become exactly that, as in pymatgen.
    """
    entries: list[RawCrystal | str] = [""] * len(texts)
    matches: dict[int, re.Match[str]] = {}
    for row, text in enumerate(texts):
        if len(text) > MAX_BLOCK_CHARS:
            entries[row] = f"{len(text):,} characters of CIF; at most {MAX_BLOCK_CHARS:,} are read"
        elif match := _P1.fullmatch(text.replace("\r\n", "\n")):
            matches[row] = match
        else:
            entries[row] = _parse_general(text)
    for row, entry in zip(matches, _parse_p1(list(matches.values())), strict=True):
        entries[row] = entry if entry.numbers.all() else _parse_general(texts[row])  # deuterium, or no element
    return entries


def split_blocks(text: str) -> list[tuple[str, str]]:
    """Name and text of each data block that has atom sites; the whole text where there is none.

    A line ``data_`` inside a text field between semicolons starts no block.
    """
    starts: list[int] = []
    position, in_field = 0, False
    for line in text.splitlines(keepends=True):
        if line.startswith(";"):
            in_field = not in_field
        elif not in_field and line[:5].lower() == "data_":
            starts.append(position)
        position += len(line)
    if not starts:
        return [("", text)]
    ends = [*starts[1:], len(text)]
    blocks = [text[start:end] for start, end in zip(starts, ends, strict=True)]
    named = [(block[5:].split(None, 1)[0] if block[5:6].strip() else "", block) for block in blocks]
    return [item for item in named if "_atom_site_" in item[1]] or named[:1]


def _parse_p1(matches: Sequence[re.Match[str]]) -> Iterator[RawCrystal]:
    """Sites for the texts that matched, converted for all of them at once."""
    if not matches:
        return
    cells = lattice_rows(np.array([match.groups()[:6] for match in matches], dtype=np.float64))
    tokens = [match[7].split() for match in matches]
    coordinates: list[str] = []
    for row in tokens:
        coordinates += row[3::7]
        coordinates += row[4::7]
        coordinates += row[5::7]
    values = _exact_thirds(np.fromiter(map(float, coordinates), dtype=np.float64, count=len(coordinates)))
    start = 0
    for row, cell in zip(tokens, cells, strict=True):
        n = len(row) // 7
        frac = values[start : start + 3 * n].reshape(3, n).T
        start += 3 * n
        numbers = [NUMBERS.get(symbol, 0) for symbol in row[0::7]]
        yield RawCrystal(np.array(numbers, dtype=np.int64), frac, cell)


def lattice_rows(parameters: np.ndarray) -> np.ndarray:
    """Lattice vectors as rows (B, 3, 3) in Å from a, b, c in Å and α, β, γ in degrees (B, 6).

    c lies along z and a in the xz plane, pymatgen's choice.
    """
    a, b, c = parameters[:, :3].T
    alpha, beta, gamma = np.radians(parameters[:, 3:]).T
    with np.errstate(divide="ignore", invalid="ignore"):  # an impossible cell becomes NaN, refused later
        cosine = (np.cos(alpha) * np.cos(beta) - np.cos(gamma)) / (np.sin(alpha) * np.sin(beta))
    reciprocal = np.arccos(np.clip(cosine, -1.0, 1.0))
    zero = np.zeros_like(a)
    rows = (
        (a * np.sin(beta), zero, a * np.cos(beta)),
        (-b * np.sin(alpha) * np.cos(reciprocal), b * np.sin(alpha) * np.sin(reciprocal), b * np.cos(alpha)),
        (zero, zero, c),
    )
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=1)


def _exact_thirds(values: np.ndarray) -> np.ndarray:
    """Values with those within 1e-4 (relative) of 1/3 or 2/3 replaced by them: printed digits, not physics."""
    for third in (1 / 3, 2 / 3):
        values = np.where(np.abs(values / third - 1.0) <= 1e-4, third, values)
    return values


def _parse_general(text: str) -> RawCrystal | str:
    if not text.strip():
        return "no text"
    if "_atom_site_" not in text:
        return "no atom sites in the CIF"
    atoms = sum(1 for line in text.splitlines() if re.match(r"\s*[A-Za-z0-9'\"]+[^_\n]*(?:\s+-?[0-9.()]+){3}", line))
    if atoms > MAX_PARSED_SITES:
        return f"about {atoms:,} atom lines; at most {MAX_PARSED_SITES:,} are read in this layout"
    return parse_with_pymatgen(text) if len(text) <= _CAREFUL_CHARS else _parse_apart(text)


def parse_with_pymatgen(text: str) -> RawCrystal | str:
    """Sites by pymatgen's CIF parser with the symmetry operations applied, or the reason why there are none."""
    from pymatgen.io.cif import CifParser

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            structures = CifParser.from_str(text).parse_structures(primitive=False, on_error="raise")
        except Exception as error:  # noqa: BLE001 - the parser raises whatever the malformed text made it trip over
            return _reason(error)
    structure = structures[0]
    if not structure.is_ordered:
        return "partial occupancies"
    if len(structure) > MAX_SITES:
        return f"{len(structure):,} sites; at most {MAX_SITES:,} are read"
    numbers = np.array([getattr(site.specie, "Z", 0) for site in structure], dtype=np.int64)
    return RawCrystal(numbers, np.array(structure.frac_coords), np.array(structure.lattice.matrix))


def _reason(error: Exception) -> str:
    message = " ".join(str(error).split())
    if "exceeded tolerance" in message:
        return "a site with more than one whole atom (overlapping atoms or an occupancy above 1)"
    return f"the CIF cannot be read ({type(error).__name__}: {message[:160]})"


def _parse_apart(text: str) -> RawCrystal | str:
    """The general parser in a process of its own, so that a text it chokes on costs a bounded time."""
    command = [sys.executable, "-m", "nucleate.crystal.cif_reader"]
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=_TIME_LIMIT, check=True)
    except subprocess.TimeoutExpired:
        return f"the CIF took more than {_TIME_LIMIT:.0f} s to read"
    except (subprocess.CalledProcessError, OSError):
        return "the CIF cannot be read"
    answer = json.loads(done.stdout)
    if isinstance(answer, str):
        return answer
    return RawCrystal(np.array(answer[0], dtype=np.int64), np.array(answer[1]).reshape(-1, 3), np.array(answer[2]))


def _answer(text: str) -> str:
    entry = parse_with_pymatgen(text)
    if isinstance(entry, str):
        return json.dumps(entry)
    return json.dumps([entry.numbers.tolist(), entry.frac.tolist(), entry.lattice.tolist()])


if __name__ == "__main__":
    sys.stdout.write(_answer(sys.stdin.read()))
