"""Fit one volume per element to the cells of a structure table, and print the tuple of `descriptors/element_tables.py`.

Usage: python scripts/fit_atomic_volumes.py TABLE   (CSV with a `cif` column, such as a Materials Project sample)
"""

import argparse
import re

import numpy as np
import pandas as pd
from scipy.optimize import nnls

from nucleate.crystal.elements import SYMBOLS, parse_formula


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table")
    cifs = pd.read_csv(parser.parse_args().table, usecols=["cif"])["cif"]
    volumes = cifs.map(lambda cif: float(re.search(r"_cell_volume\s+([\d.]+)", cif)[1])).to_numpy()
    counts = np.zeros((len(cifs), len(SYMBOLS)))
    for row, cif in enumerate(cifs):
        formula = re.search(r"_chemical_formula_sum\s+'?([^'\n]+)", cif)[1]
        for z, n in parse_formula(formula.replace(" ", "")).items():
            counts[row, z] = n
    weights = 1 / volumes
    for _ in range(30):  # towards least absolute relative errors, so that open frameworks do not lead
        fitted, _ = nnls(counts * weights[:, None], volumes * weights)
        errors = np.abs(counts @ fitted - volumes) / volumes
        weights = 1 / volumes / np.sqrt(np.maximum(errors, 0.02))
    print(f"median error {np.median(errors):.1%}, 90th percentile {np.quantile(errors, 0.9):.1%}, {len(cifs)} cells")
    print(", ".join(f"{value:.1f}" for value in fitted[:97]))


if __name__ == "__main__":
    main()
