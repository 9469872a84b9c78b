"""Text that is safe in a page: escaping, and the typography of formulas, space groups and numbers."""

from __future__ import annotations

import math
import re
from functools import lru_cache
from html import escape
from typing import Any

MISSING = "\N{EM DASH}"
"""What stands where a value is unknown; never 0."""

_OVERLINE = "\N{COMBINING OVERLINE}"


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
    """A number with three significant digits, in the shortest of plain and scientific form."""
    if value is None or not math.isfinite(value):
        return MISSING
    return f"{value:.3g}".replace("-", "\N{MINUS SIGN}")


def percent(share: float) -> str:
    """A share as whole percent, with one decimal below 10 %."""
    value = 100 * share
    return f"{value:.1f} %" if 0 < value < 9.95 else f"{value:.0f} %"


def duration(seconds: float) -> str:
    """A time span in the unit that reads best."""
    if not math.isfinite(seconds):
        return MISSING
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"


def formula(value: Any) -> str:
    """A chemical formula with its counts as subscripts, escaped."""
    return re.sub(r"(?<=[A-Za-z)\]])(\d+(?:\.\d+)?)", r"<sub>\1</sub>", text(value))


def formula_svg(value: Any) -> str:
    """A chemical formula as SVG text content: counts set lower and smaller, escaped."""
    parts = []
    lowered = False
    for part in re.split(r"((?<=[A-Za-z)\]])\d+(?:\.\d+)?)", str(value)):
        if not part:
            continue
        is_count = part[0].isdigit()
        shift = 0.28 * (is_count - lowered)
        size = ' font-size="75%"' if is_count else ""
        parts.append(f'<tspan dy="{shift:.2f}em"{size}>{text(part)}</tspan>')
        lowered = is_count
    return "".join(parts)


@lru_cache(maxsize=256)
def _short_symbol(group: int) -> str:
    import moyopy

    return str(moyopy.SpaceGroupType(group).hm_short)


def space_group_symbol(group: int | None) -> str:
    """Short Hermann-Mauguin symbol as HTML, such as P6<sub>3</sub>/mmc; an em dash where there is none."""
    if group is None or not 1 <= group <= 230:
        return MISSING
    letters = _short_symbol(group).replace(" ", "")
    letters = re.sub(r"-(\d)", rf"\1{_OVERLINE}", letters)
    letters = re.sub(r"_(\d)", r"<sub>\1</sub>", letters)
    return f"<i>{letters[0]}</i>{letters[1:]}"


def space_group_name(group: int) -> str:
    """Short Hermann-Mauguin symbol as plain text, such as P6_3/mmc."""
    return _short_symbol(group).replace(" ", "")


def crystal_system(group: int) -> str:
    """Crystal system of a space group, 1 to 230."""
    bounds = (2, 15, 74, 142, 167, 194, 230)
    names = ("triclinic", "monoclinic", "orthorhombic", "tetragonal", "trigonal", "hexagonal", "cubic")
    return next(name for bound, name in zip(bounds, names, strict=True) if group <= bound)
