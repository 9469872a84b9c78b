"""Pages from templates, and their typography: formulas, space groups, numbers, tables.

Templates escape all that is not ``Markup``; a page carries its style and script, and its policy lets nothing else in.
"""

from __future__ import annotations

import base64
import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from importlib.resources import files
from typing import Any

import moyopy
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup
from pydantic import JsonValue

_STYLES = ("palette.css", "plot.css", "page.css")
MISSING = "\N{EM DASH}"
"""Stands where a value is unknown; never 0."""
_LOWERED = str.maketrans("0123456789.", "₀₁₂₃₄₅₆₇₈₉.")


@dataclass(frozen=True)
class Table:
    """Texts in rows; every row is as long as the heads."""

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""
    note: str = ""

    def to_dict(self) -> dict[str, JsonValue]:
        """Rows by the names of their columns."""
        return {"rows": [dict(zip(self.heads, row, strict=True)) for row in self.rows]}

    def __str__(self) -> str:
        """Columns in line, for a terminal."""
        lines = [self.heads, *self.rows]
        widths = [max(len(line[k]) for line in lines) for k in range(len(self.heads))]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        )


def document(template: str, title: str, sections: Mapping[str, str], *, script: str = "", **content: Any) -> str:
    """A whole page as HTML.

    Arguments:
        template: Name of a template that extends ``page.html``.
        title: Plain text.
        sections: Anchor and name of each section, for the bar at the top.
        script: The one script that may run; without it there is no button for the theme.
        content: What the template shows.
    """
    return (
        environment()
        .get_template(template)
        .render(
            title=title,
            sections=sections,
            style=Markup("\n".join(map(asset, _STYLES))),  # noqa: S704  (our own files)
            script=Markup(script),  # noqa: S704
            policy=Markup(_policy(script)),  # noqa: S704
            **content,
        )
    )


@lru_cache(maxsize=1)
def environment() -> Environment:
    """The templates of the package; a name that a template misses is an error, not an empty place."""
    made = Environment(
        loader=PackageLoader("nucleate.report"),
        autoescape=select_autoescape(("html",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    typography = (number, compact, percent, plural, duration, timestamp, formula, space_group_symbol)
    made.filters |= {function.__name__: function for function in typography}
    made.globals["MISSING"] = MISSING
    made.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    return made


def stated(protocol: Mapping[str, JsonValue]) -> str:
    """Potential, relaxation and reference of a protocol in a line."""
    return f"{protocol['potential']}; {protocol['relaxation']}; reference {protocol['reference']}"


def asset(name: str) -> str:
    """A file of the page's own."""
    return (files("nucleate.report") / "assets" / name).read_text(encoding="utf-8")


def _policy(script: str) -> str:
    """Content security policy: our one script by its hash, nothing from elsewhere."""
    ours = "'none'"
    if script:
        ours = f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
    return f"default-src 'none'; style-src 'unsafe-inline'; script-src {ours}; img-src data:"


def number(value: float | None, digits: int = 3, signed: bool = False) -> str:
    """A number in any unit (eV, Å, ...) with fixed digits and a true minus sign; an em dash where there is none."""
    if value is None or not math.isfinite(value):
        return MISSING
    shown = f"{value:{'+' if signed else ''}.{digits}f}"
    if float(shown) == 0:
        shown = f"{0:.{digits}f}"
    return shown.replace("-", "\N{MINUS SIGN}")


def compact(value: float | None) -> str:
    """A number in any unit (eV, Å, ...) with three digits, in the shortest of plain and scientific form."""
    if value is None or not math.isfinite(value):
        return MISSING
    if 1000 <= abs(value) < 1e6:
        return f"{value:,.0f}".replace("-", "\N{MINUS SIGN}")
    return f"{value + 0.0:.3g}".replace("-", "\N{MINUS SIGN}")


def percent(share: float) -> str:
    """A share as whole percent, with one decimal below 10 %."""
    value = 100 * share
    return f"{value:.1f} %" if 0 < value < 9.95 else f"{value:.0f} %"


def plural(count: int, noun: str) -> str:
    """A count with its noun."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def duration(seconds: float) -> str:
    """A time span in the unit that reads best: seconds, minutes, hours."""
    if not math.isfinite(seconds):
        return MISSING
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"


def timestamp(value: Any) -> str:
    """An ISO time to the minute; any other text as it is."""
    found = re.fullmatch(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)[:.\d]*(Z|\+00:00)?", str(value))
    return f"{found[1]} {found[2]}{' UTC' if found[3] else ''}" if found else str(value)


def _counts(value: Any) -> list[tuple[str, bool]]:
    """A formula in pieces, each with whether it is a count: digits after a letter or a closing bracket."""
    pieces = re.split(r"((?<=[A-Za-z)\]])\d+(?:\.\d+)?)", str(value))
    return [(piece, i % 2 == 1) for i, piece in enumerate(pieces) if piece]


def formula(value: Any) -> Markup:
    """A chemical formula with its counts as subscripts."""
    parts = (f"<sub>{escape(piece)}</sub>" if is_count else escape(piece) for piece, is_count in _counts(value))
    return Markup("".join(parts))  # noqa: S704  (each piece is escaped)


def formula_text(value: Any) -> str:
    """A chemical formula with lowered digits, for figures: Li₂O."""
    return "".join(piece.translate(_LOWERED) if is_count else piece for piece, is_count in _counts(value))


@lru_cache(maxsize=256)
def space_group_name(group: int) -> str:
    """Short Hermann-Mauguin symbol as plain text, such as P6_3/mmc."""
    return str(moyopy.SpaceGroupType(group).hm_short).replace(" ", "")


def space_group_symbol(group: int | None) -> Markup:
    """Short Hermann-Mauguin symbol, such as <i>P</i>6<sub>3</sub>/mmc; an em dash where there is none."""
    if group is None or not 1 <= group <= 230:
        return Markup(MISSING)  # noqa: S704
    letters = re.sub(r"-(\d)", r'<span class="over">\1</span>', space_group_name(group))
    letters = re.sub(r"_(\d)", r"<sub>\1</sub>", letters)
    return Markup(f"<i>{letters[0]}</i>{letters[1:]}")  # noqa: S704  (from a table of symbols)


def space_group_text(group: int) -> str:
    """Short Hermann-Mauguin symbol with lowered screw axes and overlined inversions, for figures: P6₃/mmc, P1̅."""
    name = re.sub(r"-(\d)", "\\1\N{COMBINING OVERLINE}", space_group_name(group))
    return re.sub(r"_(\d)", lambda found: found[1].translate(_LOWERED), name)
