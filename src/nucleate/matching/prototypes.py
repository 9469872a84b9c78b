"""Structure types: which known one a crystal has, whatever its elements, and how much of a set has none.

Structures are compared as frameworks: all species count as equal (pymatgen's ``FrameworkComparator``), as in the
prototype test of PIGEN, which takes the types of the ICSD in the order of how many of its entries have them.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import ascii_uppercase

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.elements import NUMBERS
from nucleate.errors import UserError
from nucleate.intervals import wilson
from nucleate.matching.library import StructureLibrary
from nucleate.matching.reduced_cells import SAME_STRUCTURE, MatchSettings
from nucleate.symmetry.protostructure import protostructure_labels

OTHER, UNKNOWN = "other", "unknown"
"""Families of the crystals without a prototype, and of those that could not be compared."""


@dataclass(frozen=True)
class Prototype:
    """A structure type.

    Attributes:
        label: Stoichiometry, Pearson symbol, space group and Wyckoff letters: ``AB2_cF12_225_a_c``.
        name: Mineral or Strukturbericht symbol; empty where none is known.
        count: How many crystals of the reference have it; 0 for one from a collection.
    """

    label: str
    name: str
    count: int


@dataclass(frozen=True)
class Prototypes:
    """Structure types, the commonest first.

    Attributes:
        types: P of them.
        crystals: A crystal of each, in the same order.
    """

    types: tuple[Prototype, ...]
    crystals: Crystals

    def __len__(self) -> int:
        return len(self.types)

    def __add__(self, other: Prototypes) -> Prototypes:
        """These, then those of the others whose label is new."""
        known = {kind.label for kind in self.types}
        new = [i for i, kind in enumerate(other.types) if kind.label not in known]
        types = self.types + tuple(other.types[i] for i in new)
        return Prototypes(types, Crystals.concatenate([self.crystals, other.crystals[new]]))


def prototype_label(protostructure: str) -> str:
    """The part of a protostructure label that names no element, the same for every order of the elements.

    ``A2B_cF12_225_c_a:Li-O`` and ``AB2_cF12_225_a_c:Ca-F`` are one type. A text of another form stays as it is.
    """
    label = protostructure.split(":")[0]
    formula, *rest = label.split("_")
    shares = [int(digits or 1) for digits in re.findall(r"[A-Z](\d*)", formula)]
    pearson, group, letters = rest[0] if rest else "", "".join(rest[1:2]), rest[2:]
    if not shares or len(shares) != len(letters):  # such as ``sigma_tP30_136_bf2ij``, named without a formula
        return label
    species = sorted(zip(shares, letters, strict=True))
    named = "".join(f"{letter}{n if n > 1 else ''}" for letter, (n, _) in zip(ascii_uppercase, species, strict=False))
    return "_".join([named, pearson, group, *(text for _, text in species)])


def commonest_prototypes(
    reference: Crystals, n: int | None = None, protostructures: Sequence[str] | None = None
) -> Prototypes:
    """The ``n`` commonest structure types of a reference set, or all of them, each shown by its first crystal.

    Arguments:
        reference: Batch of B crystals.
        n: How many types.
        protostructures: Labels of the crystals where they are known already, shape (B,).

    Raises:
        UserError: Not as many labels as crystals.
    """
    found = protostructure_labels(reference) if protostructures is None else list(protostructures)
    if len(found) != len(reference):
        raise UserError("protostructures", f"{len(found)} labels", f"one for each of the {len(reference)} crystals")
    labels = [prototype_label(label) for label in found]
    first = {label: row for row, label in reversed(list(enumerate(labels)))}
    counts = Counter(filter(None, labels))
    chosen = sorted(counts, key=lambda label: (-counts[label], label))[:n]
    names = {kind.label: kind.name for kind in aflow_prototypes().types}
    types = tuple(Prototype(label, names.get(label, ""), counts[label]) for label in chosen)
    return Prototypes(types, reference[[first[label] for label in chosen]])


def aflow_prototypes() -> Prototypes:
    """The AFLOW library of crystallographic prototypes, as pymatgen ships it; in the library's order.

    References:
        | The AFLOW library of crystallographic prototypes: part 1 (Mehl et al., Comput. Mater. Sci. 136, S1 (2017))
    """
    package = importlib.util.find_spec("pymatgen.analysis.prototypes")  # importing it takes seconds
    if package is None or package.origin is None:
        raise ImportError("pymatgen.analysis.prototypes, which holds the AFLOW prototypes, is missing")
    file = Path(package.origin).parent / "aflow_prototypes.json.gz"
    types, numbers, frac, lattice = [], [], [], []
    for entry in json.loads(gzip.decompress(file.read_bytes())):
        tags, sites = entry["tags"], entry["snl"]["sites"]
        names = [str(tags.get(key)) for key in ("mineral", "strukturbericht")]
        name = next((text for text in names if text not in ("", "None")), "")
        types.append(Prototype(prototype_label(tags["aflow"]), name, 0))
        numbers.append([NUMBERS[site["species"][0]["element"]] for site in sites])
        frac.append([site["abc"] for site in sites])
        lattice.append(entry["snl"]["lattice"]["matrix"])
    return Prototypes(tuple(types), Crystals.from_lists(numbers, frac, lattice))


def framework_library(
    prototypes: Prototypes, settings: MatchSettings = SAME_STRUCTURE, workers: int = 1
) -> StructureLibrary:
    """Structure types to compare many batches with; they are numbered in their order."""
    return StructureLibrary.of(prototypes.crystals, settings, framework=True, workers=workers)


def match_prototypes(
    crystals: Crystals,
    prototypes: Prototypes,
    settings: MatchSettings = SAME_STRUCTURE,
    workers: int = 1,
    library: StructureLibrary | None = None,
) -> pd.DataFrame:
    """The first structure type, in the order given, whose framework each crystal has.

    Arguments:
        crystals: Batch of B crystals.
        prototypes: Structure types, the commonest first.
        settings: Tolerances; the paper's stol is the default 0.3.
        workers: Processes to use where there are enough crystals to make them pay.
        library: Result of :func:`framework_library` for these types; pass one to every call, its cells are kept.

    Returns:
        A row for each crystal: ``rank`` (position of the type, from 0; missing without one), ``prototype`` (its
        label), ``prototype_name``, ``has_prototype`` (missing where there is no verdict) and ``prototype_reason``.

    References:
        | PIGEN's methods, "Crystal structure prototype matching": FrameworkComparator, stol 0.3
    """
    matches = (library or framework_library(prototypes, settings, workers)).find_all(crystals)
    kinds = [None if match.index is None else prototypes.types[match.index] for match in matches]
    return pd.DataFrame(
        {
            "rank": pd.array([match.index for match in matches], dtype="Int64"),
            "prototype": pd.array([kind and kind.label for kind in kinds], dtype=object),
            "prototype_name": pd.array([kind and kind.name for kind in kinds], dtype=object),
            "has_prototype": pd.array([match.is_known for match in matches], dtype="boolean"),
            "prototype_reason": pd.array([match.reason for match in matches], dtype=object),
        }
    )


def unmatched_curve(matched: pd.DataFrame, total: int) -> pd.DataFrame:
    """Share of a set that is none of the N commonest structure types, for N from 0 to ``total`` (PIGEN, Fig. 3d).

    A crystal that could not be compared stays in the denominator and is not counted as unmatched.

    Arguments:
        matched: Result of :func:`match_prototypes`.
        total: How many types there were.

    Returns:
        A row for each N: ``n``, ``count``, ``unmatched`` (share), and its 95 % interval ``low`` to ``high``.
    """
    usable = matched[matched["has_prototype"].notna()]
    ranks = usable["rank"].fillna(total).to_numpy(np.int64)
    counts = len(ranks) - np.cumsum(np.concatenate([[0], np.bincount(ranks, minlength=total + 1)[:total]]))
    bounds = [wilson(int(count), len(matched)) for count in counts]
    return pd.DataFrame(
        {
            "n": np.arange(total + 1),
            "count": counts,
            "unmatched": counts / len(matched) if len(matched) else np.full(total + 1, np.nan),
            "low": [low for low, _ in bounds],
            "high": [high for _, high in bounds],
        }
    )


def families_by(matched: pd.DataFrame, values: ArrayLike, edges: Sequence[float], top: int = 20) -> pd.DataFrame:
    """How many crystals of each structure type fall into bins of a descriptor (PIGEN, Fig. 4d, with M_LED).

    Arguments:
        matched: Result of :func:`match_prototypes`, B rows.
        values: The descriptor in its own unit, shape (B,); NaN belongs to no bin.
        edges: Limits of the bins in the unit of ``values``, rising; a bin holds its lower one.
        top: Number of types, by their rank; the others count as ``other``.

    Returns:
        Counts (dimensionless): a row for each bin, named by its interval, and a column for each family found, ``other``
        and ``unknown`` last.
    """
    ranks = matched["rank"]
    names = matched["prototype_name"].where(matched["prototype_name"].astype(bool), matched["prototype"])
    family = names.where((ranks < top).fillna(False), OTHER)
    family = family.where(matched["has_prototype"].notna(), UNKNOWN)
    bins = pd.cut(np.asarray(values, dtype=np.float64), list(edges), right=False)
    table = pd.crosstab(bins, family.to_numpy(), dropna=False)
    order = matched.assign(family=family).sort_values("rank")["family"].drop_duplicates()
    last = [OTHER, UNKNOWN]
    columns = [name for name in order if name not in last] + last
    return table.reindex(columns=columns, fill_value=0).rename_axis(index=None, columns=None)
