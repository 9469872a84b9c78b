"""Bulk moduli of a table of structures from CHGNet's equations of state, beside measured ones.

    python scripts/bulk_moduli.py train.csv.gz --work checkpoints/bulk-moduli [--limit 200] [--out bulk_moduli.csv.gz]
    python scripts/bulk_moduli.py --literature

Seven volumes a crystal, more where the minimum lies elsewhere, fractional coordinates as they came. Parts are
kept in the work folder and never computed again; a run that is killed goes on where it was.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from nucleate.data.bulk_moduli import PART, table_of
from nucleate.data.dataset import load_dataset
from nucleate.data.literature import load_literature
from nucleate.io.writing import write_whole
from nucleate.potentials.chgnet import CHGNetPotential

KITTEL = "C. Kittel, Introduction to Solid State Physics, 8th ed., Wiley (2005), chapter 3, table 3"
COHEN = "P. K. Lam, M. L. Cohen, G. Martinez, Phys. Rev. B 35, 9190 (1987), table I, measured values quoted there"
ANDERSON = "O. L. Anderson and D. G. Isaak, Mineral Physics and Crystallography, AGU (1995), p. 64"
MEASURED = (
    # id of the structure, GPa at room temperature (rounded), source
    ("lit-Li-229-bcc", 11.6, KITTEL), ("lit-Na-229-bcc", 6.8, KITTEL), ("lit-K-229-bcc", 3.2, KITTEL),
    ("lit-Al-225-fcc", 72.2, KITTEL), ("lit-Cu-225-fcc", 137.0, KITTEL), ("lit-Ag-225-fcc", 100.7, KITTEL),
    ("lit-Au-225-fcc", 173.2, KITTEL), ("lit-Ni-225-fcc", 186.0, KITTEL), ("lit-Pd-225-fcc", 180.8, KITTEL),
    ("lit-Pt-225-fcc", 278.3, KITTEL), ("lit-V-229-bcc", 161.9, KITTEL), ("lit-Nb-229-bcc", 170.2, KITTEL),
    ("lit-Mo-229-bcc", 272.5, KITTEL), ("lit-W-229-bcc", 323.2, KITTEL), ("lit-Ta-229-bcc", 200.0, KITTEL),
    ("lit-Ca-225-fcc", 15.2, KITTEL), ("lit-C-227-diamond", 443.0, KITTEL), ("lit-Si-227-diamond", 98.8, KITTEL),
    ("lit-Ge-227-diamond", 77.2, KITTEL), ("lit-GaAs-216-zinc_blende", 74.8, COHEN),
    ("lit-GaP-216-zinc_blende", 88.7, COHEN), ("lit-InP-216-zinc_blende", 71.0, COHEN),
    ("lit-ZnS-216-zinc_blende", 77.1, COHEN), ("lit-ZnSe-216-zinc_blende", 62.4, COHEN),
    ("lit-CdTe-216-zinc_blende", 42.4, COHEN), ("lit-AlAs-216-zinc_blende", 77.0, COHEN),
    ("lit-MgO-225-rocksalt", 163.0, ANDERSON), ("lit-CaO-225-rocksalt", 111.0, ANDERSON),
    ("lit-NaCl-225-rocksalt", 25.0, ANDERSON), ("lit-KCl-225-rocksalt", 18.0, ANDERSON),
)  # fmt: skip


def run(source: Path, work: Path, limit: int | None) -> pd.DataFrame:
    """All rows of a table in its order, part by part."""
    dataset = load_dataset(source)
    # A random order makes what a shorter run covers a fair sample; within a part crystals are of like size.
    order = np.random.default_rng(0).permutation(len(dataset))[:limit]
    work.mkdir(parents=True, exist_ok=True)
    potential = CHGNetPotential()
    parts, started, done = [], time.process_time(), 0
    for start in range(0, len(order), PART):
        rows = order[start : start + PART]
        path = work / f"part-{start:06d}-{len(rows)}.csv"
        if not path.exists():
            crystals = dataset.crystals[torch.from_numpy(rows)]
            table = table_of(crystals, potential).assign(row=rows)
            table.insert(0, "material_id", [dataset.ids[i] for i in rows])
            write_whole(path, table.to_csv(index=False).encode())
            done += len(rows)
            each = (time.process_time() - started) / done
            sys.stderr.write(f"{start + len(rows)} of {len(order)} crystals, {1e3 * each:.0f} ms each\n")
        parts.append(pd.read_csv(path))
    return pd.concat(parts).sort_values("row").drop(columns="row").reset_index(drop=True)


def literature() -> pd.DataFrame:
    """Computed beside measured values."""
    crystals, table = load_literature()
    place = {name: i for i, name in enumerate(table["id"])}
    some = crystals[[place[name] for name, _, _ in MEASURED]]
    rows = table_of(some, CHGNetPotential())
    rows.insert(0, "material_id", [name for name, _, _ in MEASURED])
    return rows.assign(measured=[value for _, value, _ in MEASURED], source=[source for _, _, source in MEASURED])


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--work", type=Path, default=Path("checkpoints/bulk-moduli"))
    parser.add_argument("--limit", type=int)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--literature", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.literature:
        table = literature()
        ratio = table["bulk_modulus"] / table["measured"]
        sys.stdout.write(table.assign(ratio=ratio).drop(columns="source").to_string() + "\n")
        error = (table["bulk_modulus"] - table["measured"]).abs()
        sys.stdout.write(
            f"{ratio.notna().sum()} of {len(table)}; median ratio {ratio.median():.2f}, mean absolute error "
            f"{error.mean():.1f} GPa, median relative error {(ratio - 1).abs().median():.1%}, rank correlation "
            f"{table['bulk_modulus'].corr(table['measured'], method='spearman'):.3f}\n"
        )
    if arguments.data is not None:
        table = run(arguments.data, arguments.work, arguments.limit)
        counts = ", ".join(f"{count} {status}" for status, count in table["status"].value_counts().items())
        sys.stdout.write(f"{counts}; {table['bulk_modulus'].describe().to_dict()}\n")
        if arguments.out is not None:
            volume = table["volume_per_atom"] / table["volume_ratio"]
            kept = {"material_id": table["material_id"], "volume_per_atom": volume.round(3)}
            pd.DataFrame({**kept, "bulk_modulus": table["bulk_modulus"].round(1)}).to_csv(arguments.out, index=False)


if __name__ == "__main__":
    main()
