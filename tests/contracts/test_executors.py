"""Our executors and a toy keep the laws of an executor."""

import pytest

from nucleate.execution.executor import EXECUTORS, Serial, load_executor
from nucleate.testing import BrokenLawError
from nucleate.testing.executors import LAWS, SEPARATE, check_executor

WORKERS = {"processes": 2, "toy": 1}


def test_every_executor_is_here():
    assert {*WORKERS, "serial"} == set(EXECUTORS.names())


@pytest.mark.parametrize("law", [*LAWS, *SEPARATE], ids=lambda law: law.__name__)
@pytest.mark.parametrize("name", WORKERS)
def test_separate_workers_keep(name, law):
    law(load_executor(name, WORKERS[name]), 2.0)


def test_this_process_keeps_what_it_can():
    check_executor(Serial(), separate=False)


class Forgetful(Serial):
    """Loses its last item without a word."""

    def map(self, task, items, timeout):
        yield from list(super().map(task, items, timeout))[:-1]


def test_what_breaks_a_law_is_named():
    with pytest.raises(BrokenLawError, match="two results or none"):
        check_executor(Forgetful(), separate=False)


def test_the_environment_names_one(monkeypatch):
    monkeypatch.setenv("NUCLEATE_EXECUTOR", "serial")
    assert load_executor(workers=1) == Serial(1)
