"""Make the bundled reference: relax every source, fit the element energies, keep what lies near the hull.

    python scripts/bundled_reference.py DATA --work checkpoints/reference [--workers 2] [--limit 5000]

DATA holds train.csv.gz, val.csv.gz and extra.csv.gz of Materials Project structures. Relaxations are kept in the
work folder and never repeated; a run that is killed goes on where it was. ``--assemble`` only puts together what
is there already.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from importlib.metadata import version
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from nucleate.crystal.crystals import Crystals
from nucleate.data.dataset import load_dataset
from nucleate.data.literature import load_literature
from nucleate.data.prototypes import sweep
from nucleate.data.reference import reference_folder
from nucleate.data.reference_tables import NEAR_HULL, build_bundled, survey
from nucleate.execution.executor import load_executor
from nucleate.relaxation.relaxation import PotentialRelaxer

MP = "Materials Project (CC BY 4.0), relaxed with CHGNet"
ORIGIN = {
    "literature": "literature, relaxed with CHGNet",
    "train": MP,
    "val": MP,
    "extra": MP,
    "sweep": "prototype sweep, relaxed with CHGNet",
}
MAX_ATOMS = 24


def sources(data: Path, sweep_size: int) -> Iterator[tuple[str, Crystals, list[str]]]:
    """Name, structures and ids of each source, the most useful first."""
    crystals, table = load_literature()
    yield "literature", crystals, table["id"].tolist()
    for name in ("train", "val", "extra"):
        dataset = load_dataset(data / f"{name}.csv.gz")
        # A random order makes what a shorter run covers a fair sample.
        order = np.random.default_rng(0).permutation(len(dataset))
        if name == "extra":
            near = dataset.column("e_above_hull").numpy() <= NEAR_HULL
            order = order[near[order] & (dataset.crystals.n_atoms.numpy()[order] <= MAX_ATOMS)]
        yield name, dataset.crystals[order.tolist()], [dataset.ids[i] for i in order]
    proposed = list(islice(sweep(), sweep_size))
    yield "sweep", Crystals.concatenate([c for c, _ in proposed]), [name for _, name in proposed]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, default=Path("checkpoints/reference"))
    parser.add_argument("--out", type=Path, default=reference_folder("bundled"))
    parser.add_argument("--workers", type=int)
    parser.add_argument("--limit", type=int, help="most structures of one source")
    parser.add_argument("--sweep", type=int, default=2000, help="structures of the prototype sweep")
    parser.add_argument("--assemble", action="store_true", help="relax nothing")
    arguments = parser.parse_args()
    if arguments.assemble:
        surveyed = pd.concat([pd.read_parquet(path) for path in sorted(arguments.work.glob("*.parquet"))])
    else:
        parts = []
        for name, crystals, ids in sources(arguments.data, arguments.sweep):
            stop = min(len(ids), arguments.limit or len(ids))

            def progress(done: int, total: int, name: str = name) -> None:
                print(f"{name}: {done} of {total}", file=sys.stderr, flush=True)

            relaxer = PotentialRelaxer(executor=load_executor(workers=arguments.workers))
            parts.append(survey(crystals[:stop], ids[:stop], name, arguments.work, relaxer, progress))
        surveyed = pd.concat(parts)
    dft: dict[str, float] = {}
    for name in ("train", "val", "extra"):
        dataset = load_dataset(arguments.data / f"{name}.csv.gz")
        dft |= dict(zip(dataset.ids, dataset.column("formation_energy_per_atom").tolist(), strict=True))
    fitted_on = set(surveyed.loc[surveyed["source"] == "train", "id"])
    record = {
        "potential": "CHGNet 0.3.0",
        "protocol": "relax-v1",
        "libraries": {name: version(name) for name in ("chgnet", "torch")},
        "element_energies_fitted_to": "formation energies of Materials Project structures (CC BY 4.0)",
    }
    reference = build_bundled(
        surveyed.reset_index(drop=True),
        {name: energy for name, energy in dft.items() if name in fitted_on},
        ORIGIN,
        ("literature", "sweep"),
        record,
    )
    reference.save(arguments.out)
    print(reference.record)


if __name__ == "__main__":
    main()
