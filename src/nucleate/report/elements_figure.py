"""The periodic table coloured by how many crystals hold each element."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from nucleate.crystal.elements import NUMBERS, SYMBOLS
from nucleate.report.svg import figure, mark, words

_CELL = 36


def position(z: int) -> tuple[int, int]:
    """Column and row of an element, from 0, in the usual 18 columns; lanthanides and actinides below."""
    if 57 <= z <= 71:
        return z - 57 + 2, 8
    if 89 <= z <= 103:
        return z - 89 + 2, 9
    starts = (1, 3, 11, 19, 37, 55, 87)
    row = max(i for i, start in enumerate(starts) if z >= start)
    step = z - starts[row]
    if row == 0:
        return (0, 0) if z == 1 else (17, 0)
    if row <= 2:
        return (step, row) if step < 2 else (step + 10, row)
    if row >= 5 and step > 2:
        return step - 14, row
    return step, row


def periodic_table(counts: Mapping[str, int], n_crystals: int) -> str:
    """Heat map of {symbol: number of crystals with that element}; elements that none has stay empty."""
    top = max(counts.values(), default=0)
    parts = []
    for z in range(1, len(SYMBOLS)):
        symbol = SYMBOLS[z]
        count = counts.get(symbol, 0)
        column, row = position(z)
        x, y = column * _CELL + 1, row * _CELL - (14 if row > 7 else 0) + 1
        level = f"heat h{min(1 + int(4 * (count - 1) / max(top - 1, 1) + 0.5), 5)}" if count else "heat"
        shape = f'<rect class="{level}" x="{x}" y="{y}" width="{_CELL - 2}" height="{_CELL - 2}" rx="3"'
        share = f"{count} of {n_crystals} crystals" if count else "none"
        parts.append(mark(shape, f"{symbol}: {share}"))
        dark = " strong" if level.endswith(("h4", "h5")) else ""
        parts.append(words(x + _CELL / 2 - 1, y + (15 if count else 21), symbol, f"symbol{dark}", "middle"))
        if count:
            parts.append(words(x + _CELL / 2 - 1, y + 28, str(count), f"count{dark}", "middle"))
    label = "Elements by number of crystals: " + ", ".join(
        f"{symbol} {count}" for symbol, count in Counter(counts).most_common(20)
    )
    return figure("".join(parts), 18 * _CELL, 10 * _CELL - 12, label, "elements")


def element_counts(formulas: list[str]) -> dict[str, int]:
    """How many of the formulas hold each element."""
    import re

    seen = Counter(symbol for formula in formulas for symbol in set(re.findall(r"[A-Z][a-z]?", formula)))
    return {symbol: count for symbol, count in seen.items() if symbol in NUMBERS}
