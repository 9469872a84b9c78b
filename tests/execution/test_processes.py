"""Hung, dying and failing workers cost one result each and leave no process behind."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nucleate.errors import UserError
from nucleate.execution.executor import Task, WorkersUnavailableError
from nucleate.execution.processes import Processes

HERE = Path(__file__).parent
sys.path.append(str(HERE))  # worker processes inherit the path, and must be able to import what they run
unruly = importlib.import_module("unruly_tasks")


def test_an_answer_outlives_the_worker_that_gave_it() -> None:
    found = {}
    for index, result in Processes(2).map(Task(unruly.short_lived, ()), range(4), 30.0):
        found[index] = result
        time.sleep(0.6)  # a caller so slow that the workers are gone when the next task is due
    assert found == {0: 0, 1: 10, 2: 20, 3: 30}


def test_a_users_mistake_reaches_the_user() -> None:
    with pytest.raises(UserError, match="expected another"):
        list(Processes(1).map(Task(unruly.refusing, ()), [1], 5.0))
    assert not multiprocessing.active_children()


def test_workers_that_never_start_are_not_started_for_ever() -> None:
    with pytest.raises(WorkersUnavailableError, match="do not start"):
        list(Processes(1).map(Task(unruly.dying, ()), [1], 5.0))


def test_no_tasks_need_no_workers() -> None:
    assert list(Processes(2).map(Task(unruly.dying, ()), [], 1.0)) == []


SCRIPT = """
from unruly_tasks import troubled
from nucleate.execution.executor import Task
from nucleate.execution.processes import Processes

for i, _ in Processes(2).map(Task(troubled, (1,)), [1, 3], 100.0):
    print(i, flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_unguarded_script_runs_and_an_interrupted_one_leaves_no_orphans(how: signal.Signals, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]))
    run = subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        env=environment,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # tests in the background ignore it
    )
    assert run.stdout is not None
    assert run.stdout.readline() == b"0\n"
    os.killpg(run.pid, how) if how == signal.SIGINT else run.kill()  # a terminal interrupts the workers too
    run.wait(30)
    run.stdout.close()
    deadline = time.monotonic() + 20
    while _group_lives(run.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _group_lives(run.pid)


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
