"""Crystals of one protostructure: filled, relaxed inside their group, then freely, ranked and written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import pandas as pd
import torch

from nucleate.crystal.crystals import Crystals
from nucleate.errors import Status
from nucleate.execution.executor import Progress, load_executor, silent
from nucleate.io.files import write_structures
from nucleate.io.writing import whole_folder, write_whole
from nucleate.matching.library import uniqueness
from nucleate.potentials.registry import load_potential
from nucleate.relaxation.relaxation import load_relaxer
from nucleate.relaxation.relaxer import RELAX_V1
from nucleate.search.cell_priors import crystal_stream
from nucleate.search.protostructure_filling import FillSettings, candidates
from nucleate.symmetry.protostructure import Protostructure, protostructures
from nucleate.symmetry.space_group import SYMPREC, space_groups, symmetrized

if TYPE_CHECKING:
    import pandas as pd

    from nucleate.settings import WyckoffSettings

GAIN = 2e-3
"""eV an atom by which a free relaxation must lie lower for its crystal to replace the one relaxed in the group."""

COLUMNS = (
    "rank", "id", "status", "energy_per_atom", "energy_in_group", "space_group", "relaxed_space_group",
    "keeps_label", "volume_per_atom", "proxy", "min_radii_fraction", "reason",
)  # fmt: skip


class FillingCost(TypedDict):
    """Cost of the crystals of a protostructure: calls of the potential inside the group and after, core-seconds."""

    label: str
    seed: int
    calls_in_group: int
    calls_free: int
    core_seconds_filling: float
    core_seconds_potential: float


def realise(
    settings: WyckoffSettings, workers: int | None = None, progress: Progress = silent
) -> tuple[Crystals, pd.DataFrame, FillingCost]:
    """Different crystals of a protostructure, lowest energy first.

    The best found are relaxed inside the space group, then freely (``relax-v1``) from a rattled start, so that a
    space group that comes out was not merely kept by zero force. The lower of the two is kept; where leaving the
    group gains less than ``GAIN``, that is the symmetric one, since a relaxation does not undo a rattle to the end.

    Arguments:
        settings: The protostructure and how hard to try.
        workers: Processes of the free relaxation.
        progress: Called with a stage, the number through it, and the number of all.

    Returns:
        The relaxed crystals, snapped to the symmetry found in them; a table with one row each and ``COLUMNS``; the
        cost.

    Raises:
        UserError: The label is none, an element is not known well enough, or there is no such potential.
    """
    protostructure = Protostructure.parse(settings.label)
    n, seed = settings.n, settings.seed
    loaded = load_potential(settings.potential, settings.python)
    progress("fill", 0, 1)
    found = candidates(protostructure, crystal_stream(seed, 0), _effort(settings), loaded)
    progress("fill", 1, 1)
    crystals = found.crystals[:n]
    count = len(crystals)
    rows: list[dict[str, object]] = [{} for _ in range(count)]
    parts: list[Crystals] = [crystals[i] for i in range(count)]
    done, steps, seconds = 0, 0, 0.0
    progress("relax", 0, count)
    relaxer = load_relaxer(settings.potential, settings.python, RELAX_V1, load_executor(workers=workers))
    for i, relaxed in relaxer.relax(crystals, rattle_seed=seed):
        energy, inside = relaxed.energy_per_atom, float(found.energy[i])
        if found.converged[i] and relaxed.status == Status.OK and energy > inside - GAIN:
            energy = inside
        else:
            parts[i] = Crystals.from_lists(
                [relaxed.numbers.tolist()], [torch.from_numpy(relaxed.frac)], [torch.from_numpy(relaxed.lattice)]
            )
        rows[i] = {"status": relaxed.status, "reason": relaxed.reason, "energy_per_atom": energy}
        steps, seconds, done = steps + relaxed.n_steps, seconds + relaxed.seconds, done + 1
        progress("relax", done, count)
    after = symmetrized(Crystals.concatenate(parts), SYMPREC)
    table = pd.DataFrame(rows).assign(
        energy_in_group=found.energy[:count].numpy(),
        space_group=space_groups(crystals, SYMPREC).numpy(),
        relaxed_space_group=space_groups(after, SYMPREC).numpy(),
        keeps_label=[one is not None and one.label == protostructure.label for one in protostructures(after)],
        volume_per_atom=(after.volume / after.n_atoms).numpy(),
        proxy=found.proxy[:count].numpy(),
        min_radii_fraction=found.closest[:count].numpy(),
    )
    ended = table["status"].eq(Status.OK)
    order = table.assign(failed=~ended).sort_values(["failed", "energy_per_atom"], kind="stable").index.to_numpy()
    after, table = after[torch.from_numpy(order.copy())], table.loc[order].reset_index(drop=True)
    different = uniqueness(after)["is_unique"].fillna(True).to_numpy(dtype=bool)
    after, table = after[torch.from_numpy(different)], table[different].reset_index(drop=True)
    table["rank"] = range(1, len(table) + 1)
    table["id"] = [f"{protostructure.formula}-{rank}" for rank in table["rank"]]
    cost: FillingCost = {
        "label": protostructure.label,
        "seed": seed,
        "calls_in_group": found.calls,
        "calls_free": steps,
        "core_seconds_filling": found.seconds,
        "core_seconds_potential": found.potential_seconds + seconds,
    }
    return after, table[list(COLUMNS)], cost


def write_realised(crystals: Crystals, table: pd.DataFrame, out: Path) -> None:
    """``ranked.csv`` and ``cifs/`` in a folder, or one file whose suffix is the format.

    Raises:
        UserError: The place cannot be written or is taken, or the suffix is unknown.
    """
    if out.suffix:
        write_structures(crystals, out, ids=table["id"].tolist(), properties=table.drop(columns="id"), symprec=SYMPREC)
        return
    with whole_folder(out) as made:
        write_whole(made / "ranked.csv", table.to_csv(index=False, float_format="%.6g").encode())
        write_structures(crystals, made / "cifs", ids=table["id"].tolist(), symprec=SYMPREC)


def _effort(settings: WyckoffSettings) -> FillSettings:
    """Draws and relaxations as asked for, but enough for as many different crystals."""
    n = settings.n
    relaxed = max(settings.relaxed, n)
    return FillSettings(
        method=settings.method,
        steps=settings.steps,
        rounds=settings.rounds,
        draws=max(settings.draws, 8 * n),
        keep=max(settings.keep, 2 * n),
        relaxed=relaxed,
        calls=max(settings.calls, settings.calls * relaxed // settings.relaxed),
    )
