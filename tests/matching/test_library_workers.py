"""Worker processes give the answers of one process, in its order."""

import numpy as np
import pytest
import torch

from nucleate.crystal.crystals import Crystals
from nucleate.execution.executor import Lost, WorkersUnavailableError
from nucleate.io.interop import from_pymatgen
from nucleate.matching import library
from nucleate.matching.library import StructureLibrary
from nucleate.matching.reduced_cells import MATCHERS, SAME_STRUCTURE


@pytest.fixture
def few(monkeypatch) -> None:
    monkeypatch.setattr(library, "WORTH_WORKERS", 4)
    monkeypatch.setattr(library, "SHARE", 5)


@pytest.fixture
def crystals(prototypes, disguised, noisy) -> Crystals:
    structures = [noisy(p, 11 * i + j, s) for i, p in enumerate(prototypes()) for j, s in enumerate((0.1, 0.5))]
    structures += [disguised(p, i) for i, p in enumerate(structures)]
    batch = from_pymatgen(structures)
    broken = Crystals(batch.numbers[:2], batch.frac[:2], batch.lattice[:2] * float("nan"), batch.n_atoms[:2])
    batch = Crystals.concatenate([broken, batch])
    return batch[torch.from_numpy(np.random.default_rng(0).permutation(len(batch)))]


class InProcess:
    """The pool without processes; tasks end in an order of their own."""

    calls = 0

    workers = 2

    def map(self, task, items, timeout):
        self.calls += 1
        solve = task.make(*task.arguments)
        for index in np.random.default_rng(1).permutation(len(items)).tolist():
            yield index, solve(items[index])


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("settings", MATCHERS.values(), ids=list(MATCHERS))
def test_shared_answers_are_those_of_one_process(monkeypatch, crystals, settings) -> None:
    inside = InProcess()
    monkeypatch.setattr(library, "load_executor", lambda workers: inside)
    known, asked = crystals[: len(crystals) // 2], crystals
    for framework in (False, True) if settings is SAME_STRUCTURE else (False,):
        one, two = (StructureLibrary.of(known, settings, framework, workers) for workers in (1, 2))
        assert two.find_all(asked) == one.find_all(asked)
        assert two.find_all(asked) == one.find_all(asked)  # with cells kept
        assert inside.calls
        one, two = (StructureLibrary(settings, framework, workers) for workers in (1, 2))
        assert two.take(known) == one.take(known)
        indices = list(range(100, 100 + len(asked)))
        assert two.take(asked, indices) == one.take(asked, indices)
        assert [(e.index, e.row) for e in two.entries] == [(e.index, e.row) for e in one.entries]


@pytest.mark.usefixtures("few")
def test_a_lost_task_is_a_reason(monkeypatch, crystals) -> None:
    class Losing:
        def map(self, task, items, timeout):
            yield from ((index, Lost(True, "stopped")) for index in range(len(items)))

    monkeypatch.setattr(library, "load_executor", lambda workers: Losing())
    known = StructureLibrary(workers=2)
    matches = known.take(crystals)
    assert any(match.reason == "stopped" for match in matches)
    assert len(known) == sum(match.is_known is False for match in matches)


@pytest.mark.usefixtures("few")
def test_without_processes_one_does_it(monkeypatch, crystals) -> None:
    class Absent:
        def map(self, task, items, timeout):
            raise WorkersUnavailableError("none")

    monkeypatch.setattr(library, "load_executor", lambda workers: Absent())
    assert StructureLibrary(workers=2).take(crystals) == StructureLibrary().take(crystals)


@pytest.mark.slow
@pytest.mark.usefixtures("few")
def test_real_processes(crystals) -> None:
    assert StructureLibrary(workers=2).take(crystals) == StructureLibrary().take(crystals)
