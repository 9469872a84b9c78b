"""Run the tutorials, write what they print into their pages, and take their pictures.

    python scripts/tutorials.py [first_design ...] [--keep FOLDER] [--pictures-only]

A page under docs/tutorials is its own source: each ``$ nucleate ...`` line of a console block and each python block is
run in order in an empty folder. What a command prints replaces the lines below it; what a python block prints replaces
the text block that follows it. The pictures need chromium on the PATH and Pillow.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TUTORIALS = ROOT / "docs" / "tutorials"
IMAGES = ROOT / "docs" / "images" / "tutorials"
LARGEST_PICTURE = 150_000


@dataclass(frozen=True)
class Picture:
    """A part of a page that a tutorial makes: pixels from the top, and how many; all are as wide."""

    tutorial: str
    source: str
    top: int
    height: int


WIDTH = 1100
PICTURES = {
    "first_design_rates": Picture("first_design", "runs/first/report.html", 0, 690),
    "first_design_structures": Picture("first_design", "runs/first/report.html", 1030, 1290),
    "magnets": Picture("magnets", "runs/magnets/magnets.html", 0, 1176),
    "comparison": Picture("comparison", "runs/compared/comparison.html", 0, 1100),
    "chemical_system": Picture("chemical_system", "runs/v-sr-o/phase_diagram.html", 0, 1015),
}

_FENCE = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PROGRESS = re.compile(r"^(generating|relaxing|training|\w+) \d+/\d+(,| in |$)")
_FILE = re.compile(r"`((?:runs|models)/[\w./-]+|[\w-]+\.(?:csv|extxyz|parquet))`")
_OPTION = re.compile(r"`(--[a-z][a-z-]*)")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        kind: The word behind the fence.
        text: What it holds.
        span: Where the text lies in the page.
    """

    kind: str
    text: str
    span: tuple[int, int]

    @property
    def commands(self) -> list[str]:
        """The commands of a console block, without the prompt."""
        return [line[2:] for line in self.text.splitlines() if line.startswith("$ ")]


def pages() -> list[Path]:
    """The tutorials; the page that lists them runs nothing."""
    return sorted(path for path in TUTORIALS.glob("*.md") if path.stem != "index")


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page in order."""
    return [Block(found[1], found[2], found.span(2)) for found in _FENCE.finditer(page)]


def files_named(page: str) -> list[str]:
    """Files and folders that the page says are there, and those that its commands write."""
    written = []
    for block in blocks(page):
        for command in block.commands:
            words = shlex.split(command)
            written += [words[i + 1] for i, word in enumerate(words[:-1]) if word in ("-o", "--out")]
    return [*_FILE.findall(_FENCE.sub("", page)), *written]


def options_named(page: str) -> list[str]:
    """Options in the text, outside of commands."""
    return _OPTION.findall(_FENCE.sub("", page))


def printed_by(code: str, name: str, namespace: dict[str, Any]) -> str:
    """Run a python block after those before it; returns what it prints."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(code, name, "exec"), namespace)  # noqa: S102  (our own pages)
    return output.getvalue()


def shown_by(command: str, folder: Path) -> str:
    """What a command prints on both streams, without lines of progress.

    Raises:
        SystemExit: It fails.
    """
    arguments = shlex.split(command)[1:]
    program = [sys.executable, "-c", "from nucleate.cli.main import run; run()", *arguments]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "COLUMNS": "110"}
    done = subprocess.run(
        program, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{command}: exit code {done.returncode}\n{done.stdout}")
    lines = [line.rstrip() for line in done.stdout.splitlines() if not _PROGRESS.match(line)]
    return "\n".join(lines).strip("\n") + "\n" if lines else ""


def rewritten(path: Path, folder: Path) -> str:
    """The page with the output of a run in ``folder``."""
    page = path.read_text(encoding="utf-8")
    found = blocks(page)
    namespace: dict[str, Any] = {}
    changes: list[tuple[tuple[int, int], str]] = []
    for block, following in zip(found, [*found[1:], None], strict=True):
        if block.kind == "console":
            text = "".join(f"$ {command}\n{shown_by(command, folder)}" for command in block.commands)
            changes.append((block.span, text))
        elif block.kind == "python":
            with contextlib.chdir(folder):
                output = printed_by(block.text, path.name, namespace)
            if following is not None and following.kind == "text":
                changes.append((following.span, output))
    for (start, stop), text in reversed(changes):
        page = page[:start] + text + page[stop:]
    return page


def take_picture(name: str, folder: Path) -> Path:
    """A screenshot of what a tutorial made, as a PNG of few colours.

    Raises:
        SystemExit: There is no chromium, or the picture is too large.
    """
    from PIL import Image

    shown = PICTURES[name]
    bottom = shown.top + shown.height
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("pictures need chromium on the PATH")
    IMAGES.mkdir(parents=True, exist_ok=True)
    target = IMAGES / f"{name}.png"
    with tempfile.TemporaryDirectory() as work:
        raw = Path(work) / "page.png"
        size = f"--window-size={WIDTH},{bottom}"
        flags = ["--headless=new", "--no-sandbox", "--hide-scrollbars", "--virtual-time-budget=10000", size]
        subprocess.run(
            [chromium, *flags, f"--screenshot={raw}", (folder / shown.source).resolve().as_uri()],
            check=True, capture_output=True,
        )  # fmt: skip
        picture = Image.open(raw).convert("RGB").crop((0, shown.top, WIDTH, bottom))
        picture.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(target, optimize=True)
    if target.stat().st_size > LARGEST_PICTURE:
        raise SystemExit(f"{target} has {target.stat().st_size} bytes; at most {LARGEST_PICTURE} are kept")
    return target


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("names", nargs="*", help="tutorials; all without any")
    parser.add_argument("--keep", type=Path, help="run in FOLDER/NAME and keep it")
    parser.add_argument("--pictures-only", action="store_true", help="of what lies in --keep")
    arguments = parser.parse_args()
    for path in pages():
        if arguments.names and path.stem not in arguments.names:
            continue
        with tempfile.TemporaryDirectory() as temporary:
            folder = arguments.keep / path.stem if arguments.keep else Path(temporary)
            if not arguments.pictures_only:
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(parents=True)
                page = rewritten(path, folder)
                path.write_text(page, encoding="utf-8")
            for name in (name for name, shown in PICTURES.items() if shown.tutorial == path.stem):
                print(take_picture(name, folder))
        print(path)


if __name__ == "__main__":
    main()
