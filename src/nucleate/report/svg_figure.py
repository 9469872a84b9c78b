"""A figure that matplotlib draws, as inline SVG: sizes in px, colours from the page's variables, tips on its marks."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import Any, NamedTuple
from xml.etree import ElementTree

import matplotlib.style
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from nucleate.report.document import asset

COLOURS = (
    "paper", "ink", "soft", "faint", "rule", "accent", "bar", "bar-before", "warn",
    "d0", "d1", "d2", "d3", "d4", "dx", "c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8",
)  # fmt: skip
"""Variables of ``palette.css`` that figures use."""
_DPI = 72  # a point of matplotlib is then a px of the page
Box = tuple[float, float, float, float]
"""Left, top, right, bottom in px."""
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""Characters that XML has no place for."""
_SVG = "{http://www.w3.org/2000/svg}"


@dataclass(frozen=True)
class Plot:
    """A drawn figure.

    Attributes:
        svg: The drawing; empty where only the notes are shown.
        title: What stands above it.
        keys: Colour, mark ("box", "dot", "ring", "diamond" or "line") and name of each entry of the legend.
        lead: What stands before the entries of the legend.
        notes: What stands below it.
    """

    svg: Markup = Markup()  # noqa: RUF009  (a text, which nobody changes)
    title: str = ""
    keys: tuple[tuple[str, str, str], ...] = ()
    lead: str = ""
    notes: tuple[str, ...] = ()


class Tip(NamedTuple):
    """The words that a mark shows on hover, and the candidate that a click on it opens."""

    words: str
    opens: str = ""


class Name(NamedTuple):
    """The name of a point, which lies at (x, y) in the units of the axes (eV/atom, shares); what is new stands out."""

    x: float
    y: float
    text: str
    is_new: bool = False


def colour(name: str) -> str:
    """The stand-in of a variable of ``palette.css`` while matplotlib draws; the page's SVG has the variable."""
    return f"#fe00{COLOURS.index(name):02x}"


_STYLE = {
    "svg.fonttype": "none", "svg.hashsalt": "nucleate", "text.parse_math": False, "font.size": 11,
    "text.color": colour("soft"), "axes.labelcolor": colour("soft"), "axes.labelsize": 11.5, "axes.labelpad": 5,
    "axes.spines.left": False, "axes.spines.right": False, "axes.spines.top": False, "axes.edgecolor": colour("faint"),
    "axes.linewidth": 1, "axes.axisbelow": True, "axes.xmargin": 0, "axes.ymargin": 0, "axes.facecolor": "none",
    "axes.formatter.useoffset": False, "axes.formatter.limits": (-5, 7), "axes.grid": True, "axes.grid.axis": "y",
    "grid.color": colour("rule"), "grid.linewidth": 0.7, "figure.facecolor": "none", "xtick.color": colour("faint"),
    "xtick.labelcolor": colour("soft"), "ytick.labelcolor": colour("soft"), "xtick.labelsize": 10.5,
    "ytick.labelsize": 10.5, "xtick.major.size": 4, "ytick.major.size": 0, "ytick.major.pad": 6, "lines.linewidth": 2,
    "lines.solid_joinstyle": "round", "legend.frameon": False, "legend.fontsize": 11,
}  # fmt: skip


class SvgFigure:
    """A figure of fixed size in px whose marks have tips.

    Attributes:
        axes: Where to draw; nothing is clipped, so its limits must hold all that is drawn.
    """

    def __init__(
        self, width: float, height: float, label: str, left: float, right: float, top: float, bottom: float
    ) -> None:
        self.width, self.height, self.label = width, height, label
        self.figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI)
        inner = (left / width, bottom / height, 1 - (left + right) / width, 1 - (top + bottom) / height)
        self.axes: Axes = self.figure.add_axes(inner)
        self.axes.yaxis.set_label_coords(-(left - 15) / (width - left - right), 0.5)
        self._marks: dict[str, tuple[Tip, ...]] = {}

    def tip(self, artist: Any, said: str | Sequence[str], opens: Sequence[str] = ()) -> None:
        """Give an artist its tip, or each of its points one; ``opens`` are the candidates that a click shows."""
        each = (said,) if isinstance(said, str) else tuple(said)
        name = f"mark{len(self._marks)}"
        artist.set_gid(name)
        self._marks[name] = tuple(map(Tip, each, opens or [""] * len(each)))

    def words(
        self,
        x: float,
        y: float,
        text: str,
        shade: str = "faint",
        size: float = 10.5,
        *,
        halo: bool = False,
        **more: Any,
    ) -> None:
        """A text at a place of the data, ``shift`` points (right, up) from it, ``size`` px high, with a rim or not."""
        place = {"xytext": more.pop("shift", (0, 0)), "textcoords": "offset points", "annotation_clip": False}
        gid = "halo" if halo else None
        self.axes.annotate(text, (x, y), color=colour(shade), size=size, gid=gid, **place, **more)

    def place(self, x: float, y: float) -> tuple[float, float]:
        """A place of the data in px from the upper left corner."""
        across, up = self.axes.transData.transform((x, y))
        return float(across), self.height - float(up)

    def names(self, wanted: Sequence[Name], points: Sequence[tuple[float, float]]) -> None:
        """Write names beside their points, in order of importance.

        Each goes below its point (above where it is new), to the other side, right or left, where it covers neither a
        point nor another name; else where it covers no other name; one that always would is left out.

        Arguments:
            wanted: The names.
            points: Places of the data, in units of the axes (eV/atom, shares), that are better not covered.
        """
        dots = [(px - 5, py - 5, px + 5, py + 5) for px, py in (self.place(*point) for point in points)]
        taken: list[Box] = []
        for name in wanted:
            (px, py), half = self.place(name.x, name.y), 3.6 * len(name.text) + 3
            ways = [(0.0, 17.0), (0.0, -10.0), (half + 7, 4.0), (-half - 7, 4.0)]
            free: list[tuple[bool, int, Box]] = []
            for dx, dy in (ways[1], ways[0], *ways[2:]) if name.is_new else ways:
                across = min(max(px + dx, half), self.width - half)
                box = (across - half, py + dy - 11, across + half, py + dy + 4)
                if not _touches(box, taken):
                    free.append((_touches(box, dots), len(free), box))
            if free:
                box = min(free)[2]
                taken.append(box)
                look = {"shade": "accent", "weight": "bold"} if name.is_new else {"shade": "ink"}
                shift = ((box[0] + box[2]) / 2 - px, py - box[3] + 4)
                self.words(name.x, name.y, name.text, size=11.5, halo=True, ha="center", shift=shift, **look)

    def threshold(self, at: float, *, vertical: bool = True) -> None:
        """Draw a dashed line through the whole axes at a value in their units (eV/atom, shares)."""
        draw = self.axes.axvline if vertical else self.axes.axhline
        draw(at, color=colour("warn"), linewidth=1.3, linestyle=(0, (3, 2.4)))

    def legend(self, keys: Sequence[tuple[str, str]]) -> None:
        """Colours and names below the axes, for drawings that stand outside of a page too."""
        spots = [Line2D([], [], marker="o", linestyle="none", ms=8, mec="none", mfc=colour(shade)) for shade, _ in keys]
        names = [name for _, name in keys]
        self.figure.legend(spots, names, loc="lower center", ncols=len(keys), handletextpad=0.1, borderaxespad=0.2)

    def svg(self) -> Markup:
        """The drawing as SVG for a page, without ids; equal drawings are equal bytes."""
        content = io.StringIO()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)  # the browser's fonts have it
            self.figure.savefig(content, format="svg", metadata={"Date": None, "Creator": None})
        root = ElementTree.fromstring(_NO_XML.sub("", content.getvalue()))  # noqa: S314  (matplotlib wrote it just now)
        symbols = {node.get("id"): str(node.get("d")) for node in root.iter(f"{_SVG}path") if node.get("id")}
        body = "".join(_written(node, symbols, self._marks) for node in root)
        whole = (
            f'<svg class="plot" viewBox="0 0 {self.width:g} {self.height:g}" style="max-width:{self.width:g}px" '
            f'role="img" aria-label="{escape(self.label)}">{body}</svg>'
        )
        return Markup(_NO_XML.sub("", whole))  # noqa: S704  (texts and tips are escaped where they are written)


@contextmanager
def svg_figure(
    width: float, height: float, label: str, left: float = 56, right: float = 20, top: float = 14, bottom: float = 40
) -> Iterator[SvgFigure]:
    """An empty figure of ``width`` x ``height`` px with its margins; ``label`` is what a screen reader says."""
    with matplotlib.style.context(["default", _STYLE]):
        yield SvgFigure(width, height, label, left, right, top, bottom)


def _touches(box: Box, others: Sequence[Box]) -> bool:
    return any(box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in others)


def standalone(svg: Markup) -> str:
    """A drawing as a file of its own, with the colours of the page."""
    named = str(svg).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    return named.replace(">", f"><style>{asset('palette.css')}{asset('plot.css')}</style>", 1)


def _written(node: ElementTree.Element, symbols: dict[str | None, str], marks: Mapping[str, Sequence[Tip]]) -> str:
    """An element of matplotlib's SVG as short markup: no ids, no clipping, one decimal, variables for colours."""
    tag, name = node.tag.removeprefix(_SVG), node.get("id", "")
    if tag == "g":
        said = marks.get(name, ())
        uses = list(node.iter(f"{_SVG}use"))
        if said and len(uses) == len(said):
            parts = [_mark(tip, *_use(use, symbols)) for use, tip in zip(uses, said, strict=True)]
            lines = [_written(path, symbols, marks) for path in node.findall(f"{_SVG}path") if not path.get("id")]
            return f'<g style="{_style(uses[0])}">{"".join(lines)}{"".join(parts)}</g>'
        body = "".join(_written(child, symbols, marks) for child in node)
        if said:
            return _mark(said[0], "g", body=body)
        return f'<g class="halo">{body}</g>' if name == "halo" else body
    if tag == "use":
        shape, attributes = _use(node, symbols)
        return f'<{shape}{attributes} style="{_style(node)}"/>'
    if tag == "path" and not name:
        css = _style(node)
        return "" if css == "fill:none" else f'<path d="{_short(node.get("d", ""))}" style="{css}"/>'
    if tag == "text":
        turn = node.get("transform", "")
        turn = f' transform="{_short(turn)}"' if "(-0 " not in turn else ""
        x, y = _short(node.get("x", "0")), _short(node.get("y", "0"))
        return f'<text x="{x}" y="{y}"{turn} style="{_style(node)}">{escape(node.text or "")}</text>'
    return ""


def _use(node: ElementTree.Element, symbols: dict[str | None, str]) -> tuple[str, str]:
    """Tag and attributes of a copy of a symbol; the symbols with curves are circles."""
    path = symbols[node.get("{http://www.w3.org/1999/xlink}href", "#")[1:]]
    x, y = _short(node.get("x", "0")), _short(node.get("y", "0"))
    if path.startswith("M 0 ") and "C" in path:
        return "circle", f' cx="{x}" cy="{y}" r="{_short(path.split()[2])}"'
    return "path", f' transform="translate({x} {y})" d="{_short(path)}"'


def _mark(tip: Tip, tag: str, attributes: str = "", body: str = "") -> str:
    """A shape that says something on hover and to screen readers."""
    more = f' data-open="{escape(tip.opens)}"' if tip.opens else ""
    return f'<{tag} class="mark"{more}{attributes}><title>{escape(tip.words)}</title>{body}</{tag}>'


def _short(numbers: str) -> str:
    """A path or other list of numbers with one decimal and no spare blanks."""
    rounded = re.sub(r"-?\d+\.?\d*(e-?\d+)?", lambda found: f"{float(found[0]):.1f}".removesuffix(".0"), numbers)
    return re.sub(r"\s*([A-Za-z])\s*", r"\1", rounded.replace("-0 ", "0 ")).strip() if "M" in rounded else rounded


def _style(node: ElementTree.Element) -> str:
    """Matplotlib's style with the page's variables for colours and the page's fonts."""
    kept = []
    for item in node.get("style", "").split(";"):
        key, _, value = (part.strip() for part in item.partition(":"))
        if key == "font":  # until matplotlib 3.10: weight, size and family in one
            kept += [f"font-size:{size}" for size in re.findall(r"[\d.]+px", value)]
            kept += [f"font-weight:{weight}" for weight in re.findall(r"\b(?:bold|[6-9]00)\b", value)]
        elif key and key not in ("font-family", "stroke-linecap", "stroke-linejoin", "stroke-dashoffset"):
            kept.append(f"{key}:{value}")
    return re.sub(r"#fe00([0-9a-f]{2})", lambda found: f"var(--{COLOURS[int(found[1], 16)]})", ";".join(kept))
