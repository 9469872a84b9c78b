"""Phase diagrams by the symmetric route: twenty space groups, screened by label, relaxed, against known phases.

    python benchmarks/wyckoff_diagrams.py wyckoffdiff-mp Li-O Ti-O Al-Mg-O Ba-Ta-In-O --count 64 -o runs/diagrams \
        --reference references/union

After T. Ishii et al., Symmetry-aware conditional generation of crystal structures using diffusion models (2025): the
model is asked for the system, 0 eV/atom above the hull and each of the 20 commonest space groups, COUNT times. Of each
protostructure one crystal is filled in and relaxed (relax-v1). Structures from the literature only judge: which of
them were found (pymatgen's StructureMatcher), and which compositions on the reference's hull were missed. OUT keeps
every run. Prints Markdown.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path

import torch
from pymatgen.analysis.structure_matcher import StructureMatcher
from space_groups import COMMON

import nucleate
from nucleate.conditions.request import Conditions
from nucleate.crystal.elements import SYMBOLS, parse_formula
from nucleate.data.literature import load_literature
from nucleate.data.reference import Reference
from nucleate.errors import UserError
from nucleate.io.interop import to_pymatgen
from nucleate.runs.candidates import table_crystals
from nucleate.runs.run import Run
from nucleate.search.protostructure_filling import FillSettings, fill
from nucleate.symmetry.protostructure import Protostructure


def explored(system: str, options: argparse.Namespace) -> tuple[Run, str]:
    """The run of a system, and how many protostructures stand behind it."""
    out, note = options.out / system, options.out / f"{system}.txt"
    if not (out / "report.html").exists():
        model = nucleate.load(options.model, "cpu", "default", options.guidance)
        began, protostructures = time.process_time(), list[Protostructure]()
        for group in (*COMMON, *options.also):
            where = Conditions.parse([f"chemical_system={system}", "energy_above_hull=0", f"space_group={group}"])
            try:
                protostructures += model.sample_protostructures(options.count, where, options.seed)
            except UserError as refused:
                print(f"{system}, group {group}: {refused}", flush=True)
        different = {one.label: one for one in protostructures}
        drawn = time.process_time() - began
        known = Reference.load("bundled").phases["label"].isin(different).sum()
        found = fill(list(different.values()), seed=options.seed, settings=FillSettings())
        seconds = time.process_time() - began
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(
            f"{len(protostructures):,} protostructures ({1e3 * drawn / len(protostructures):.0f} ms each), "
            f"{len(different)} different, {known} of them labels of the reference; filled in {seconds - drawn:.0f} s"
        )
        nucleate.screen(
            found.crystals, out, reference=options.reference, workers=options.workers, resume=True, seed=options.seed
        )
    return Run.open(out), note.read_text()


def show(system: str, run: Run, note: str, reference: Reference) -> None:
    """Print what was found, and what was missed."""
    table = run.candidates()
    ended = table[table["status"].eq("ok")]
    crystals = to_pymatgen(table_crystals(ended, relaxed=True))
    elements = set(system.split("-"))
    literature, entries = load_literature()
    matcher, lines = StructureMatcher(), []
    for i, entry in entries.iterrows():
        if {SYMBOLS[z] for z in parse_formula(entry["formula"])} != elements:
            continue
        known = to_pymatgen(literature[[i]])[0]
        fits = [k for k, one in enumerate(crystals) if matcher.fit(known, one)]
        best = "" if not fits else f" ({1e3 * ended['energy_above_hull'].iloc[fits].min():.0f} meV/atom)"
        lines.append(f"{entry['formula']} {entry['prototype']}: {'found' + best if fits else 'missed'}")
    on_hull = ended[ended["energy_above_hull"] <= 1e-3]
    seconds = sum(stage.core_seconds for stage in run.record.timings.values())
    stable = ended["energy_above_hull"] <= 0.1
    names = ", ".join(sorted(set(on_hull["formula"]))) or "none"
    print(f"\n**{system}**: {note}. {len(table)} relaxed in {seconds:.0f} core-s: {int(stable.sum())} within "
          f"0.1 eV/atom, {len(on_hull)} on the hull or below it ({names}).")  # fmt: skip
    print(f"Known structures: {'; '.join(lines) or 'none in the literature table'}.")
    inside = reference.phases[[{SYMBOLS[z] for z in f} == elements for f in reference.compositions]]
    lowest = inside.groupby("formula")["formation_energy"].min()
    ours = ended.groupby("formula")["formation_energy"].min()
    near = {f: float(ours[f] - lowest[f]) for f in lowest.index if f in ours.index}
    print("Formulas of the reference, lowest of ours above its lowest: "
          + (", ".join(f"{f} {1e3 * d:.0f} meV/atom" for f, d in sorted(near.items(), key=lambda p: p[1])) or "none")
          + "; missed: " + (", ".join(sorted(set(lowest.index) - set(near))) or "none") + ".", flush=True)  # fmt: skip


def main() -> None:
    """Explore and print, system by system."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("systems", nargs="+")
    parser.add_argument("--count", type=int, default=64, help="protostructures of each space group")
    parser.add_argument("--also", type=lambda text: [int(part) for part in text.split(",")], default=[],
                        help="further space groups, joined by commas")  # fmt: skip
    parser.add_argument("--guidance", action="append", default=[])
    parser.add_argument("--reference", default="bundled")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    reference = Reference.load(options.reference)
    for system in options.systems:
        show(system, *explored(system, options), reference)


if __name__ == "__main__":
    main()
