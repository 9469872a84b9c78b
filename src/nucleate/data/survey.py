"""Relaxing many known structures once and keeping the outcome, in steps that a kill cannot undo."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from nucleate.crystal.crystals import Crystals
from nucleate.relaxation.relaxer import Relaxed, Relaxer

CHUNK = 100


def survey(
    crystals: Crystals,
    ids: list[str],
    source: str,
    folder: Path,
    relaxer: Relaxer,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Relax structures in chunks; a chunk that is already in ``folder`` is read, not computed.

    Arguments:
        crystals: Known structures.
        ids: One for each.
        source: Where they are from; names the files.
        folder: Holds one Parquet file a chunk.
        relaxer: With which potential and by whom they are relaxed.
        progress: Called with (structures done, structures in all) after each chunk.

    Returns:
        A row for each structure, in order: ``id``, ``source``, ``status``, ``reason``, ``numbers``, ``frac``,
        ``lattice`` (relaxed), ``energy_per_atom``, ``initial_energy_per_atom``, ``n_steps``, ``seconds``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for start in range(0, len(crystals), CHUNK):
        path = folder / f"{source}-{start:06d}.parquet"
        if not path.exists():
            rows = slice(start, min(start + CHUNK, len(crystals)))
            outcomes = dict(relaxer.relax(crystals[rows]))
            table = pd.DataFrame(
                [_row(ids[start + i], source, outcomes[i]) for i in range(len(outcomes))],
            )
            partial = path.with_suffix(".partial")
            table.to_parquet(partial, index=False)
            partial.replace(path)
        parts.append(pd.read_parquet(path))
        if progress is not None:
            progress(min(start + CHUNK, len(crystals)), len(crystals))
    return pd.concat(parts, ignore_index=True)


def _row(name: str, source: str, outcome: Relaxed) -> dict[str, object]:
    return {
        "id": name,
        "source": source,
        "status": str(outcome.status),
        "reason": outcome.reason,
        "numbers": outcome.numbers,
        "frac": outcome.frac.ravel(),
        "lattice": outcome.lattice.ravel(),
        "energy_per_atom": outcome.energy_per_atom,
        "initial_energy_per_atom": outcome.initial_energy_per_atom,
        "n_steps": outcome.n_steps,
        "seconds": outcome.seconds,
    }
