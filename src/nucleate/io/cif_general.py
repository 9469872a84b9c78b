"""CIF text of any layout to sites, by pymatgen's parser; runs as a program of its own for long texts.

``python -m nucleate.io.cif_general`` reads a CIF from standard input and answers in JSON.
"""

from __future__ import annotations

import json
import sys
import warnings

import numpy as np

from nucleate.crystal.parsed_structure import MAX_SITES, RawCrystal, unknown_species


def parse_with_pymatgen(text: str) -> RawCrystal | str:
    """Sites by pymatgen's CIF parser with the symmetry operations applied, or the reason why there are none."""
    from pymatgen.io.cif import CifParser

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            structures = CifParser.from_str(text).parse_structures(primitive=False, on_error="raise")
        except Exception as error:  # noqa: BLE001 - whatever the malformed text made the parser trip over
            return _reason(error)
    structure = structures[0]
    if not structure.is_ordered:
        return "partial occupancies"
    if len(structure) > MAX_SITES:
        return f"{len(structure):,} sites; at most {MAX_SITES:,} are read"
    unknown = unknown_species(structure)
    if unknown:
        return f"unknown element {unknown}"
    numbers = np.array([site.specie.Z for site in structure], dtype=np.int64)
    return RawCrystal(numbers, np.array(structure.frac_coords), np.array(structure.lattice.matrix))


def _reason(error: Exception) -> str:
    message = " ".join(str(error).split())
    if "exceeded tolerance" in message:
        return "a site with more than one whole atom (overlapping atoms, or an occupancy above 1)"
    return f"the CIF cannot be read ({type(error).__name__}: {message[:160]})"


def _answer(text: str) -> str:
    entry = parse_with_pymatgen(text)
    if isinstance(entry, str):
        return json.dumps(entry)
    return json.dumps([entry.numbers.tolist(), entry.frac.tolist(), entry.lattice.tolist()])


if __name__ == "__main__":
    sys.stdout.write(_answer(sys.stdin.buffer.read().decode("utf-8", errors="replace")))
