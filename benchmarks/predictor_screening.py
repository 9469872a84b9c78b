"""Known crystals screened by a predictor: hits against the number of property evaluations.

    python benchmarks/predictor_screening.py bulk_modulus bulk-modulus-mp val.csv.gz -o screened

The rival of a generator in Fig. 5g-h of Zeni et al. (Nature 2025): crystals without labels, here those of DATA within
0.1 eV/atom of the hull, are ranked by a predictor, and the property of the first N is computed: bulk moduli by the
potential's equation of state, magnetic densities by its moments. Writes OUT/PROPERTY.csv, a row for each evaluation in
their order, which `benchmarks/design_tasks.py --screened OUT` draws beside a model's.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from nucleate.campaign.predict import load_predictor
from nucleate.crystal.crystals import Crystals
from nucleate.data.bulk_moduli import table_of
from nucleate.data.dataset import load_dataset
from nucleate.potentials.registry import load_potential
from nucleate.screening.reevaluation import magnetizations
from nucleate.thermo.magnetism import TESLA

PREDICTED = {"bulk_modulus": "bulk_modulus", "magnetic_density": "saturation_magnetization"}
"""What the predictor of a property answers; its order is that of the property."""
HIGHEST = 0.1
"""eV/atom above the hull."""


def evaluated(crystals: Crystals, name: str) -> np.ndarray:
    """The property of crystals, NaN where it has none."""
    potential = load_potential("chgnet")
    if name == "magnetic_density":
        return np.array(magnetizations(crystals, potential)) / TESLA
    rows = torch.arange(len(crystals)).split(16)
    return np.concatenate([table_of(crystals[part], potential)[name] for part in rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("property", choices=sorted(PREDICTED))
    parser.add_argument("predictor", help="name or folder")
    parser.add_argument("data", type=Path, nargs="+", help="crystals that the predictor has not seen")
    parser.add_argument("-n", type=int, default=128, help="evaluations")
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    datasets = [load_dataset(path) for path in options.data]
    crystals = Crystals.concatenate([d.crystals for d in datasets])
    heights = np.concatenate([d.column("e_above_hull").numpy() for d in datasets])
    ids = [name for d in datasets for name in d.ids]
    known = PREDICTED[options.property]
    values = load_predictor(options.predictor).predict(crystals, known).numpy()
    values[~(heights <= HIGHEST)] = np.nan
    print(f"{np.isfinite(values).sum():,} of {len(crystals):,} crystals are stable enough and understood")
    best = np.argsort(-values)[: min(options.n, int(np.isfinite(values).sum()))]  # NaN goes last
    found = evaluated(crystals[best.tolist()], options.property)
    table = pd.DataFrame({"id": [ids[i] for i in best], "predicted": values[best], options.property: found})
    options.out.mkdir(parents=True, exist_ok=True)
    table.to_csv(options.out / f"{options.property}.csv", index=False)
    order = table["predicted"].corr(table[options.property], "spearman")
    print(f"rank correlation of predicted and found {order:.2f}, "
          f"median found {table[options.property].median():.3g}")  # fmt: skip


if __name__ == "__main__":
    main()
