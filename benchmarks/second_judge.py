"""The best crystals of a run, judged by other weights than those that chose them.

    python benchmarks/second_judge.py runs/design --reference references/union --count 100 --weights 0.2.0

A potential that relaxes and ranks may flatter what it chose. The COUNT stable, unique and novel crystals that lie
lowest are placed, as relaxed, on the hull of all known structures of their chemical systems, once by CHGNet 0.3.0 and
once by its older (0.2.0) or r2SCAN weights, both on the same structures. Prints how the distances differ.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
import torch

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.formula import compositions
from nucleate.data.reference import Reference
from nucleate.io.interop import to_pymatgen
from nucleate.runs.candidates import table_crystals
from nucleate.runs.run import Run
from nucleate.screening.ranking import is_sun
from nucleate.thermo.hull import Hull


def energies(crystals: Crystals, weights: str) -> np.ndarray:
    """eV an atom, by the peer's own code."""
    from chgnet.model import CHGNet

    model = CHGNet.load(model_name=weights, use_device="cpu", verbose=False)
    model.graph_converter.set_isolated_atom_response("ignore")  # noble gases, beyond the older weights' 5 Å
    found = model.predict_structure(to_pymatgen(crystals), task="e", batch_size=16)
    return np.array([float(one["e"]) for one in found])


def distances(candidates: Crystals, known: Crystals, weights: str) -> np.ndarray:
    """Of each candidate from the hull of the known structures, eV an atom; NaN where an element has no structure."""
    formulas = compositions(known)
    of_known, of_candidates = energies(known, weights), energies(candidates, weights)
    elements = sorted({z for formula in formulas for z in formula})
    pure = {z: min((e for f, e in zip(formulas, of_known, strict=True) if set(f) == {z}), default=np.nan)
            for z in elements}  # fmt: skip
    formed = [e - sum(n * pure[z] for z, n in f.items()) / sum(f.values())
              for f, e in zip(formulas, of_known, strict=True)]  # fmt: skip
    kept = [i for i, e in enumerate(formed) if np.isfinite(e)]
    hull = Hull([formulas[i] for i in kept], [formed[i] for i in kept])
    found = []
    for formula, e in zip(compositions(candidates), of_candidates, strict=True):
        own = e - sum(n * pure.get(z, np.nan) for z, n in formula.items()) / sum(formula.values())
        found.append(hull.distance(formula, own).energy_above_hull if np.isfinite(own) else np.nan)
    return np.array(found)


def main() -> None:
    """Judge twice and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--reference", default="bundled")
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--weights", default="0.2.0", choices=["0.2.0", "r2scan"])
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    table = Run.open(options.run).candidates()
    best = table[is_sun(table)].nsmallest(options.count, "energy_above_hull")
    candidates = table_crystals(best, relaxed=True)
    systems = [set(formula) for formula in compositions(candidates)]
    reference = Reference.load(options.reference)
    inside = [any(set(formula) <= system for system in systems) for formula in compositions(reference.structures)]
    known = reference.structures[torch.tensor(inside)]
    chose, other = distances(candidates, known, "0.3.0"), distances(candidates, known, options.weights)
    both = np.isfinite(chose) & np.isfinite(other)
    chose, other = chose[both], other[both]
    print(f"{both.sum()} of the {len(best)} best crystals of {options.run.name}, {len(known):,} known structures in "
          "their systems.\n")  # fmt: skip
    print(f"| above the hull of these structures | CHGNet 0.3.0 | CHGNet {options.weights} |\n|---|---|---|")
    for name, rule in (("median, meV/atom", lambda e: f"{1e3 * np.median(e):.0f}"),
                       ("at most 0.1 eV/atom", lambda e: f"{100 * (e <= 0.1).mean():.0f} %"),
                       ("on the hull or below", lambda e: f"{100 * (e <= 0).mean():.0f} %")):  # fmt: skip
        print(f"| {name} | {rule(chose)} | {rule(other)} |")
    print(f"\nDifference: median {1e3 * np.median(other - chose):+.0f}, mean absolute "
          f"{1e3 * np.abs(other - chose).mean():.0f} meV/atom; rank correlation "
          f"{np.corrcoef(chose.argsort().argsort(), other.argsort().argsort())[0, 1]:.2f}.")  # fmt: skip


if __name__ == "__main__":
    main()
