"""CIF text to sites: fixed layouts at once, everything else by pymatgen's parser within bounds."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence

import numpy as np

from nucleate.crystal.parsed_structure import RawCrystal
from nucleate.io.cif_general import parse_with_pymatgen
from nucleate.io.cif_layouts import read_fixed_layouts

MAX_BLOCK_CHARS = 16_000_000
"""Length of one structure's text; more is refused unread."""

MAX_PARSED_SITES = 2_000
"""Atom lines that the general parser, whose cost is quadratic, is asked to read."""

TIME_LIMIT = 60.0
"""Seconds that the general parser may take for one long text."""

_LONG = 100_000  # characters above which the general parser runs in a process of its own, under the time limit
_ATOM_LINE = re.compile(
    r"^[ \t]*[A-Za-z][^\s_]*(?:[ \t]+[^\s]+)*?(?:[ \t]+-?[0-9]*\.[0-9]+(?:\([0-9]+\))?){3}", re.MULTILINE
)


def parse_cifs(texts: Sequence[str]) -> list[RawCrystal | str]:
    """Sites of each CIF text that holds one structure, or the reason why there are none.

    Symmetry operations are applied. Coordinates within 1e-4 (relative) of 1/3 or 2/3 become exactly that, as
    in pymatgen.
    """
    short = [text.replace("\r\n", "\n") if len(text) <= MAX_BLOCK_CHARS else "" for text in texts]
    fixed = read_fixed_layouts(short)
    return [raw or _parse_general(text) for raw, text in zip(fixed, texts, strict=True)]


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


def _parse_general(text: str) -> RawCrystal | str:
    if len(text) > MAX_BLOCK_CHARS:
        return f"{len(text):,} characters of CIF; at most {MAX_BLOCK_CHARS:,} are read"
    if not text.strip():
        return "no text"
    if "_atom_site_" not in text:
        return "no atom sites in the CIF"
    atoms = len(_ATOM_LINE.findall(text)) if len(text) > _LONG else 0
    if atoms > MAX_PARSED_SITES:
        return f"about {atoms:,} atom lines; at most {MAX_PARSED_SITES:,} are read in this layout"
    return parse_with_pymatgen(text) if len(text) <= _LONG else _parse_apart(text)


def _parse_apart(text: str) -> RawCrystal | str:
    """The general parser in a process of its own, so that a text it chokes on costs a bounded time."""
    command = [sys.executable, "-m", "nucleate.io.cif_general"]
    try:
        done = subprocess.run(command, input=text.encode(), capture_output=True, timeout=TIME_LIMIT, check=True)
    except subprocess.TimeoutExpired:
        return f"the CIF took more than {TIME_LIMIT:.0f} s to read"
    except (subprocess.CalledProcessError, OSError):
        return "the CIF cannot be read"
    answer = json.loads(done.stdout)
    if isinstance(answer, str):
        return answer
    return RawCrystal(np.array(answer[0], dtype=np.int64), np.array(answer[1]).reshape(-1, 3), np.array(answer[2]))
