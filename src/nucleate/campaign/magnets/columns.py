"""Columns of the magnet campaign: before relaxation, batched for any number of crystals, and after."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nucleate.crystal.formula import count_table
from nucleate.descriptors.composition import classes_of_counts
from nucleate.descriptors.geometry import validity
from nucleate.errors import RELAXED, Status
from nucleate.potentials.registry import load_potential
from nucleate.runs.candidates import Candidates
from nucleate.sampling.rejection import symmetrize
from nucleate.screening.funnel import Funnel, stopped_by
from nucleate.screening.reevaluation import magnetizations
from nucleate.symmetry.space_group import niggli_reduced, space_groups

if TYPE_CHECKING:
    from torch import Tensor

    from nucleate.campaign.predict import Predictor
    from nucleate.crystal.crystals import Crystals

MOMENTS = "chgnet"
"""The potential whose moments count, whatever relaxes: few others know any."""
SAME_ENERGY = 0.002
"""eV/atom by which two relaxations to one minimum may differ, at their largest force of 0.05 eV/Å."""

_FROM_SCREEN = (
    "status", "reason", "energy_per_atom", "formation_energy", "energy_above_hull", "n_competing_phases",
    "relaxed_space_group", "rmsd_to_relaxed", "is_unique", "duplicate_of", "is_novel",
)  # fmt: skip
MAGNETIZATIONS = ("network_magnetization", "moments_magnetization")
"""Columns after relaxation, in T; ``saturation_magnetization`` is the one that counts."""


@dataclass(frozen=True)
class PropertyNetwork:
    """A property network with the columns that it is asked for; without a network nothing is asked."""

    predictor: Predictor | None = None
    columns: tuple[str, ...] = ()

    def ask(self, crystals: Crystals) -> dict[str, list[float | None]]:
        """Each column for B crystals in its unit (eV/atom, T); None where the network cannot take one."""
        if self.predictor is None or not len(crystals):
            return {name: [None] * len(crystals) for name in self.columns}
        # The network was trained on reduced cells, and its matrix sees the cell.
        reduced = niggli_reduced(crystals)
        return {name: [_known(v) for v in self.predictor.predict(reduced, name).tolist()] for name in self.columns}


@dataclass(frozen=True)
class Prescreen:
    """Everything that is known of a crystal before relaxation.

    Attributes:
        allowed: Atomic numbers.
        known: Reduced formulas that are not new.
        network: What predicts.
        symprec: Tolerance of the space groups in Å.
        symmetrize: Crystals that nothing but their low symmetry stops are moved onto the symmetry that they have
            within this tolerance in Å, where the structure matcher still calls them the same; 0 for none.
        before: The filters before relaxation; needed to symmetrize.
    """

    allowed: Collection[int]
    known: Collection[str]
    network: PropertyNetwork = field(default_factory=PropertyNetwork)
    symprec: float = 0.1
    symmetrize: float = 0.0
    before: Funnel | None = None

    def describe(self, generated: Candidates) -> Candidates:
        """Candidates with all that is known before relaxation; one that is no crystal keeps its status alone."""
        where = generated.has_status((Status.OK,))
        if not where.any():
            return generated
        formulas = generated.column("formula")[where]
        known = {"formula_known": [formula in self.known for formula in formulas]}
        found = generated.with_columns({**self.columns(generated[where].crystals), **known}, where)
        return found if self.symmetrize == 0 or self.before is None else self._moved(found, self.before)

    def _moved(self, candidates: Candidates, before: Funnel) -> Candidates:
        """Candidates of which those that pass once they are moved say so, with the space group that they have then."""
        stopped = np.array([name == "space_group" for name in stopped_by(before, candidates.table)])
        if not stopped.any():
            return candidates
        moved, accepted = symmetric(candidates[stopped].crystals, self.symmetrize)
        groups = space_groups(moved, self.symprec).numpy()
        higher = groups > candidates.column("space_group")[stopped].fillna(0).to_numpy(dtype=np.int64)
        gained = accepted.numpy() & higher
        where = stopped.copy()
        where[stopped] = gained
        return candidates.with_columns({"space_group": groups[gained], "is_symmetrized": [True] * gained.sum()}, where)

    def columns(self, crystals: Crystals) -> dict[str, list[Any]]:
        """The columns of B crystals that follow from the structures alone."""
        counts = count_table(crystals)
        forbidden = np.ones(counts.shape[1], bool)
        forbidden[sorted(self.allowed)] = False
        found: dict[str, list[Any]] = {
            "n_elements": np.count_nonzero(counts, axis=1).tolist(),
            "chemistry_class": list(classes_of_counts(counts)),
            "elements_allowed": np.logical_not(((counts > 0) & forbidden).any(1)).tolist(),
            "min_distance": [_known(value) for value in validity(crystals).min_distance.tolist()],
            "space_group": [group or None for group in space_groups(crystals, self.symprec).tolist()],
        }
        return found | {f"predicted_{name}": list(values) for name, values in self.network.ask(crystals).items()}


def symmetric(crystals: Crystals, tolerance: float) -> tuple[Crystals, Tensor]:
    """Crystals moved onto the symmetry they have within a tolerance in Å, and which were, (B,), bool."""
    moved = symmetrize(crystals, tolerance)
    return moved, moved.crystal_fields["symmetrized"]


def with_symmetry_held(table: pd.DataFrame, plain: pd.DataFrame | None) -> pd.DataFrame:
    """The table with ``symmetry_holds``: whether symmetry costs a relaxed crystal nothing; empty where unknown.

    Arguments:
        table: A row a crystal, relaxed as far as it was; those that were symmetrized say so.
        plain: The candidates of the run that relaxed these as they were generated; None where there are none.
    """
    holds = pd.Series(pd.NA, index=table.index, dtype="boolean")
    relaxed = table["energy_per_atom"].notna()
    moved = table["is_symmetrized"].eq(True)
    holds[relaxed & ~moved] = True
    if plain is not None:
        done = plain[plain["status"].isin(RELAXED)]
        ends = table["id"].map(dict(zip(done["id"], done["energy_per_atom"], strict=True)))
        known = relaxed & moved & ends.notna()
        holds[known] = (table["energy_per_atom"] <= ends + SAME_ENERGY)[known]
    return table.assign(symmetry_holds=holds)


def with_relaxed(table: pd.DataFrame, screened: Candidates, network: PropertyNetwork, source: str) -> pd.DataFrame:
    """The table of all crystals with what is known after relaxation; empty where one was not relaxed.

    Arguments:
        table: A row a crystal, with ``id``.
        screened: The candidates of the run that relaxed some of them.
        network: The network, whose magnetisation of the relaxed crystals is one column.
        source: "network" or "moments": which magnetisation counts.
    """
    after = screened.to_pandas()[["id", *_FROM_SCREEN]].set_index("id")
    done = screened.has_status(RELAXED)
    values = {name: pd.Series(np.nan, index=after.index) for name in MAGNETIZATIONS}
    wanted = "saturation_magnetization"
    if done.any():
        crystals = screened[done].final
        if wanted in network.columns:
            told = PropertyNetwork(network.predictor, (wanted,)).ask(crystals)[wanted]
            values["network_magnetization"][done] = np.array(told, dtype=float)
        values["moments_magnetization"][done] = magnetizations(crystals, load_potential(MOMENTS))
    after = after.assign(**values)
    after[wanted] = after[f"{source}_magnetization"]
    left = table.set_index("id")
    for name in after:
        if name in left:
            left.loc[after.index, name] = after[name]
    return left.join(after.drop(columns=[name for name in after if name in left])).reset_index()


def labelled(columns: Mapping[str, list[Any]], labels: Mapping[str, Any]) -> pd.DataFrame:
    """A table of known, relaxed crystals under the names that the funnel reads; labels stand for what was relaxed."""
    table = pd.DataFrame({**columns, **labels})
    return table.assign(status=str(Status.OK), relaxed_space_group=table["space_group"])


def _known(value: float) -> float | None:
    return value if isfinite(value) else None
