"""Make the shipped reference ``mp``: all structures relaxed by one potential, the table beside, one scale.

    python scripts/mp_reference.py DATA --work checkpoints/mp-reference [--workers 2] [--out FOLDER]

DATA holds train.csv.gz, val.csv.gz and extra.csv.gz of Materials Project structures and formation_energies.csv.gz, a
table. Relaxations are kept in the work folder and never repeated; a run that is killed goes on where it was.
Corrections are fitted to train.csv.gz alone.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd

from nucleate.data.dataset import load_dataset
from nucleate.data.one_scale import build_one_scale, missing_elements
from nucleate.data.reference import Reference, reference_folder
from nucleate.data.reference_tables import survey
from nucleate.execution.executor import load_executor
from nucleate.relaxation.relaxation import PotentialRelaxer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, default=Path("checkpoints/mp-reference"))
    parser.add_argument("--out", type=Path, default=reference_folder("mp"))
    parser.add_argument("--workers", type=int)
    arguments = parser.parse_args()
    relaxer = PotentialRelaxer(executor=load_executor(workers=arguments.workers))
    parts, fitted = [], []
    for name in ("val", "train", "extra"):
        dataset = load_dataset(arguments.data / f"{name}.csv.gz")

        def progress(done: int, total: int, name: str = name) -> None:
            print(f"{name}: {done} of {total}", file=sys.stderr, flush=True)

        parts.append(survey(dataset.crystals, list(dataset.ids), name, arguments.work, relaxer, progress))
        fitted += list(dataset.ids) if name == "train" else []
    table = pd.read_csv(arguments.data / "formation_energies.csv.gz")
    reference = build_one_scale(Reference.load("bundled"), pd.concat(parts), table, fitted)
    reference.save(arguments.out)
    print(reference.record, "without a phase at zero:", missing_elements(reference) or "none")


if __name__ == "__main__":
    main()
