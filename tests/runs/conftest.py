"""A record with every field of its own."""

import pytest

from nucleate.potentials.registry import Provenance
from nucleate.runs.record import RunRecord, StatedProtocol
from nucleate.settings import DesignSettings


@pytest.fixture
def record() -> RunRecord:
    """The record of a design of three crystals in two chunks."""
    return RunRecord(
        kind="design",
        settings=DesignSettings(model="random", n=3, where=("chemical_system=Cu-Au",)),
        seed=5,
        n=3,
        chunk_plan=((0, 2), (2, 3)),
        hashes={"reference": "0" * 64},
        potential=Provenance("CHGNet 0.3.0", "chgnet 0.4.2", "in this environment", "chgnet"),
        protocol=StatedProtocol(
            potential="CHGNet 0.3.0",
            reference="bundled",
            relaxation="relax-v1",
            matcher="StructureMatcher",
            symprec=0.1,
            candidates_relaxed="all",
            stability_threshold=0.1,
            denominator="all candidates of the run",
        ),
        versions={"nucleate": "0.1.0"},
        citations=("ase",),
        drawn={2: 5, 3: 9},
    )
