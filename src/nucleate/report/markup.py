"""Text that is safe in a page: escaping, and the typography of formulas, space groups and numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from functools import lru_cache
from html import escape
from typing import Any

MISSING = "\N{EM DASH}"
"""What stands where a value is unknown; never 0."""


def text(value: Any) -> str:
    """Any value as escaped text, fit for element content and for quoted attributes."""
    return escape(str(value), quote=True)


def number(value: float | None, digits: int = 3, signed: bool = False) -> str:
    """A number with fixed digits and a true minus sign; an em dash where it is missing or not finite."""
    if value is None or not math.isfinite(value):
        return MISSING
    shown = f"{value:{'+' if signed else ''}.{digits}f}"
    if float(shown) == 0:
        shown = f"{0:.{digits}f}"
    return shown.replace("-", "\N{MINUS SIGN}")


def compact(value: float | None) -> str:
    """A number with three significant digits, in the shortest of plain and scientific form; thousands in full."""
    if value is None or not math.isfinite(value):
        return MISSING
    if 1000 <= abs(value) < 1e6:
        return f"{value:,.0f}".replace("-", "\N{MINUS SIGN}")
    return f"{value:.3g}".replace("-", "\N{MINUS SIGN}")


def percent(share: float) -> str:
    """A share as whole percent, with one decimal below 10 %."""
    value = 100 * share
    return f"{value:.1f} %" if 0 < value < 9.95 else f"{value:.0f} %"


def plural(count: int, noun: str) -> str:
    """A count with its noun."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def duration(seconds: float) -> str:
    """A time span in the unit that reads best."""
    if not math.isfinite(seconds):
        return MISSING
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"


def _counts(value: Any) -> list[tuple[str, bool]]:
    """A formula in pieces, each with whether it is a count: digits after a letter or a closing bracket."""
    pieces = re.split(r"((?<=[A-Za-z)\]])\d+(?:\.\d+)?)", str(value))
    return [(piece, i % 2 == 1) for i, piece in enumerate(pieces) if piece]


def formula(value: Any) -> str:
    """A chemical formula with its counts as subscripts, escaped."""
    return "".join(f"<sub>{text(piece)}</sub>" if is_count else text(piece) for piece, is_count in _counts(value))


def formula_svg(value: Any) -> str:
    """A chemical formula as SVG text content: counts set lower and smaller, escaped."""
    parts = []
    lowered = False
    for piece, is_count in _counts(value):
        shift = 0.28 * (is_count - lowered)
        size = ' font-size="75%"' if is_count else ""
        parts.append(f'<tspan dy="{shift:.2f}em"{size}>{text(piece)}</tspan>')
        lowered = is_count
    return "".join(parts)


@lru_cache(maxsize=256)
def _short_symbol(group: int) -> str:
    import moyopy

    return str(moyopy.SpaceGroupType(group).hm_short)


def space_group_symbol(group: int | None) -> str:
    """Short Hermann-Mauguin symbol as HTML, such as <i>P</i>6<sub>3</sub>/mmc; an em dash where there is none."""
    if group is None or not 1 <= group <= 230:
        return MISSING
    letters = _short_symbol(group).replace(" ", "")
    letters = re.sub(r"-(\d)", r'<span class="over">\1</span>', letters)
    letters = re.sub(r"_(\d)", r"<sub>\1</sub>", letters)
    return f"<i>{letters[0]}</i>{letters[1:]}"


def space_group_name(group: int) -> str:
    """Short Hermann-Mauguin symbol as plain text, such as P6_3/mmc."""
    return _short_symbol(group).replace(" ", "")


def timestamp(value: Any) -> str:
    """An ISO time to the minute, escaped; any other text as it is."""
    found = re.fullmatch(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)[:.\d]*(Z|\+00:00)?", str(value))
    return f"{found[1]} {found[2]}{' UTC' if found[3] else ''}" if found else text(value)


def plain_table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A plain table; cells are markup."""
    top = "".join(f"<th>{text(head)}</th>" for head in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'
