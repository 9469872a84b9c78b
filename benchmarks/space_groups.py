"""Requested space group against crystal system after relaxation, for any model that takes `space_group`.

    python benchmarks/space_groups.py wyckoffdiff-mp --where chemical_system=Li-O --count 64 --relax 16 --out groups/w
    python benchmarks/space_groups.py --table groups/w groups/p --plot groups.html

Fig. 2 of T. Ishii et al., Symmetry-aware conditional generation of crystal structures using diffusion models (2025).
For each group COUNT crystals are asked for; the first RELAX of them are rattled by 0.03 Å and 1 % strain and relaxed
freely (relax-v1). With --draw-below each crystal is drawn until it lies so low as generated, as `nucleate design` does,
and how many were drawn is said. OUT keeps a line for each crystal as it ends, so that the same command goes on where it
stopped. A group that a model refuses is a row of its own. Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import nucleate
from nucleate.conditions.request import Conditions
from nucleate.crystal.crystals import Crystals
from nucleate.data.reference import Reference
from nucleate.errors import Status, UserError
from nucleate.execution.executor import load_executor
from nucleate.matching.library import StructureLibrary
from nucleate.relaxation.relaxation import PotentialRelaxer
from nucleate.screening.prefilter import EnergyPrefilter, energies_above_hull
from nucleate.settings import ScreenSettings
from nucleate.symmetry.space_group import CRYSTAL_SYSTEMS, crystal_system, space_groups

COMMON = (2, 12, 14, 15, 62, 63, 71, 123, 129, 139, 140, 148, 164, 166, 187, 189, 194, 216, 221, 225)
"""The commonest of 9,705 structures of the Materials Project (CC BY 4.0) of at most 20 atoms."""
WIDE = 0.2
"""Å; at the tolerance of 0.1 a rattle that a relaxation leaves in part is taken for lost symmetry."""


def measure(options: argparse.Namespace, out: Path) -> None:
    """Append what is not there yet."""
    model = nucleate.load(options.model, "cpu", options.sampler, options.guidance)
    out.mkdir(parents=True, exist_ok=True)
    asked = {"model": options.model, "where": options.where, "sampler": options.sampler, "guidance": options.guidance,
             "seed": options.seed}  # fmt: skip
    unasked = {"draw_below": None, "reference": None}
    if options.draw_below is not None:
        asked |= {"draw_below": options.draw_below, "reference": options.reference}
    settings, rows = out / "settings.json", out / "crystals.jsonl"
    if settings.exists() and {**unasked, **json.loads(settings.read_text())} != {**unasked, **asked}:
        raise SystemExit(f"{settings}: another measurement; choose another --out")
    settings.write_text(json.dumps(asked))
    screen = ScreenSettings(reference=options.reference)
    prefilter = None
    if options.draw_below is not None:
        above_hull = energies_above_hull(Reference.load(options.reference), screen)
        prefilter = EnergyPrefilter(options.draw_below, above_hull, StructureLibrary())
    done = {(row["group"], row["number"]) for row in read(rows)}
    for group in options.groups:
        if (group, -1) in done or all((group, i) in done for i in range(options.count)):
            continue
        where = Conditions.parse([*options.where, f"space_group={group}"])
        try:
            if prefilter is None:
                crystals = model.sample(options.count, where, options.seed)
            else:
                drawn = prefilter.draw(model, where, options.count, options.seed, 0, lambda _: None)
                crystals = drawn.crystals
                append(rows, {"group": group, "number": -2, "drawn": drawn.stop})
        except UserError as refused:
            append(rows, {"group": group, "number": -1, "refused": str(refused)})
            continue
        made = space_groups(crystals).tolist()
        for i in range(options.count):
            if i >= options.relax and (group, i) not in done:
                append(rows, {"group": group, "number": i, "made": made[i]})
        missing = [i for i in range(min(options.relax, options.count)) if (group, i) not in done]
        if not missing:
            continue
        batch = crystals[torch.tensor(missing)]
        for k, end in PotentialRelaxer(executor=load_executor(workers=options.workers)).relax(
            batch, options.seed, missing
        ):
            relaxed = Crystals.from_lists([end.numbers.tolist()], [torch.from_numpy(end.frac)], [end.lattice.tolist()])
            ended = end.status == Status.OK
            append(rows, {
                "group": group, "number": missing[k], "made": made[missing[k]], "status": str(end.status),
                "after": int(space_groups(relaxed)[0]) if ended else None,
                "wide": int(space_groups(relaxed, WIDE)[0]) if ended else None,
            })  # fmt: skip
        print(f"group {group} done", flush=True)


def append(path: Path, row: dict[str, Any]) -> None:
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")


def read(path: Path) -> list[dict[str, Any]]:
    """Rows so far; a line torn by a kill is left out."""
    rows = []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows


def counted(rows: Iterable[dict[str, Any]]) -> tuple[list[int], np.ndarray]:
    """Groups asked for, and crystals in each crystal system after relaxation, shape (groups, 7)."""
    groups = sorted({row["group"] for row in rows})
    table = np.zeros((len(groups), len(CRYSTAL_SYSTEMS)), dtype=int)
    for row in rows:
        if row.get("after"):
            table[groups.index(row["group"]), CRYSTAL_SYSTEMS.index(crystal_system(row["after"]))] += 1
    return groups, table


def rate(rows: Sequence[dict[str, Any]], key: str, whole: bool) -> str:
    """Share whose system, or group if ``whole``, is what was asked for."""
    known = [row for row in rows if row.get(key)]
    if not known:
        return "-"
    hits = [row[key] == row["group"] if whole else crystal_system(row[key]) == crystal_system(row["group"])
            for row in known]  # fmt: skip
    return f"{np.mean(hits):.0%} of {len(known)}"


def show(out: Path) -> None:
    """Print the tables of one measurement."""
    rows = read(out / "crystals.jsonl")
    draws = {row["group"]: row["drawn"] for row in rows if "drawn" in row}
    rows = [row for row in rows if "drawn" not in row]
    groups, table = counted(rows)
    print(f"\n{json.loads((out / 'settings.json').read_text())}\n")
    if draws:
        print(f"{sum(draws.values()):,} crystals drawn for {sum(row['number'] >= 0 for row in rows):,}\n")
    print("| space group asked for | made | " + " | ".join(CRYSTAL_SYSTEMS) + " |\n|---|---|" + "---|" * 7)
    for group, line in zip(groups, table, strict=True):
        own = [row for row in rows if row["group"] == group]
        refused = any(row["number"] < 0 for row in own)
        cells = [f"**{n}**" if name == crystal_system(group) else f"{n or ''}"
                 for name, n in zip(CRYSTAL_SYSTEMS, line, strict=True)]  # fmt: skip
        print(f"| {group} ({crystal_system(group)}) | {'refused' if refused else rate(own, 'made', True)} | "
              + " | ".join(cells) + " |")  # fmt: skip
    relaxed = [row for row in rows if row.get("after") and row["group"] > 1]
    low = np.mean([row["after"] == 1 for row in relaxed]) if relaxed else float("nan")
    print(f"\nMade in the group asked for: {rate(rows, 'made', True)}. Relaxed from a rattled start: same system "
          f"{rate(rows, 'after', False)} (at {WIDE} Å {rate(rows, 'wide', False)}), same group "
          f"{rate(rows, 'after', True)} (at {WIDE} Å {rate(rows, 'wide', True)}), P1 {low:.0%}.")  # fmt: skip


def plot(outs: Sequence[Path], path: Path) -> None:
    """Heat maps side by side, as a page."""
    from plotly.graph_objects import Heatmap
    from plotly.subplots import make_subplots

    stated = [json.loads((out / "settings.json").read_text()) for out in outs]
    below = [one.get("draw_below") for one in stated]
    titles = [one["model"] + ("" if e is None else f", drawn below {e:g} eV/atom")
              for one, e in zip(stated, below, strict=True)]  # fmt: skip
    figure = make_subplots(1, len(outs), shared_yaxes=True, subplot_titles=titles)
    for column, out in enumerate(outs, 1):
        groups, table = counted(read(out / "crystals.jsonl"))
        share = table / np.maximum(table.sum(1, keepdims=True), 1)
        names = [f"{group} ({crystal_system(group)})" for group in groups]
        figure.add_trace(
            Heatmap(z=share, x=list(CRYSTAL_SYSTEMS), y=names, text=table, texttemplate="%{text}", zmin=0, zmax=1,
                    colorscale="Blues", showscale=column == 1), 1, column)  # fmt: skip
    figure.update_xaxes(title="crystal system after relaxation").update_yaxes(autorange="reversed")
    figure.update_yaxes(title="space group asked for", col=1).update_layout(width=560 * len(outs), height=700)
    figure.write_html(path, include_plotlyjs=True)


def main() -> None:
    """Measure, or print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?")
    parser.add_argument("--where", action="append", default=[])
    parser.add_argument("--groups", type=lambda text: [int(part) for part in text.split(",")], default=list(COMMON))
    parser.add_argument("--count", type=int, default=16, help="crystals of each group")
    parser.add_argument("--relax", type=int, default=8, help="of those, how many are relaxed")
    parser.add_argument("--guidance", action="append", default=[])
    parser.add_argument("--sampler", default="default")
    parser.add_argument("--draw-below", type=float, help="eV/atom above the hull as generated")
    parser.add_argument("--reference", default="bundled", help="for --draw-below")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--out", type=Path, help="folder of this measurement")
    parser.add_argument("--table", type=Path, nargs="+", default=[], help="measurements to print")
    parser.add_argument("--plot", type=Path, help="HTML page with the heat maps of what is printed")
    options = parser.parse_args()
    if (options.model is None) != (options.out is None) or not (options.model or options.table):
        parser.error("give MODEL and --out, or --table FOLDER ...")
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    if options.model:
        measure(options, options.out)
    shown = [*([options.out] if options.out else []), *options.table]
    for out in shown:
        show(out)
    if options.plot:
        plot(shown, options.plot)


if __name__ == "__main__":
    main()
