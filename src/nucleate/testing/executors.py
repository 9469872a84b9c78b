"""The laws of an executor; ``check_executor(executor)`` puts an executor through all of them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Generator

from nucleate.errors import UserError
from nucleate.execution.executor import Executor, Lost, Task, WorkersUnavailableError
from nucleate.testing import hold, refused

RAISES, DIES, HANGS = 7, 5, 3
"""Items at which the function of :func:`troubled` goes wrong."""
AGES = 1000.0
"""Seconds that a hung task sleeps."""


def troubled(scale: int) -> Callable[[int], int]:
    """A function that multiplies by ``scale``, but hangs at 3, kills its process at 5 and raises at 7."""

    def function(item: int) -> int:
        if item == HANGS:
            time.sleep(AGES)
        if item == DIES:
            os.kill(os.getpid(), signal.SIGKILL)
        if item == RAISES:
            raise ValueError("seven")
        return scale * item

    return function


def refusing() -> Callable[[int], int]:
    """No function, but a mistake of the user's.

    Raises:
        UserError: Always.
    """
    raise UserError("potential", "'x'", "another")


def failing() -> Callable[[int], int]:
    """No function, but a fault.

    Raises:
        RuntimeError: Always.
    """
    raise RuntimeError("not today")


def every_item_has_one_result(executor: Executor, timeout: float) -> None:  # noqa: ARG001 - laws look alike
    """Every item has one result within 60 seconds; one that raises is :class:`Lost`; no items have none."""
    found = list(executor.map(Task(troubled, (10,)), (0, 1, RAISES, 2), 60.0))
    hold(sorted(index for index, _ in found) == [0, 1, 2, 3], "an item has two results or none")
    results = dict(found)
    hold([results[i] for i in (0, 1, 3)] == [0, 10, 20], "results are at other items than theirs")
    lost = results[2]
    hold(isinstance(lost, Lost) and not lost.hung and "seven" in lost.reason, "a task that raises is not Lost by that")
    hold(not list(executor.map(Task(troubled, (10,)), (), 60.0)), "no items have results")


def faults_of_preparation_are_raised(executor: Executor, timeout: float) -> None:  # noqa: ARG001
    """Within 60 seconds a mistake of the user's reaches the user; any other fault says that there are no workers."""
    refused(lambda: list(executor.map(Task(refusing), (1, 2), 60.0)), "a task that cannot be prepared")
    try:
        list(executor.map(Task(failing), (1, 2), 60.0))
    except WorkersUnavailableError:
        return
    hold(False, "a task whose preparation fails does not end in WorkersUnavailableError")


def each_loses_its_own_item(executor: Executor, timeout: float) -> None:
    """A task that hangs for ``timeout`` seconds or kills its worker is :class:`Lost` alone; no process stays."""
    items = (0, HANGS, 1, DIES, 2)
    found = list(executor.map(Task(troubled, (10,)), items, timeout))
    hold(sorted(index for index, _ in found) == list(range(len(items))), "an item has two results or none")
    results = dict(found)
    hold([results[i] for i in (0, 2, 4)] == [0, 10, 20], "a task that hangs or dies costs the results of others")
    hung, dead = results[1], results[3]
    hold(isinstance(hung, Lost) and hung.hung, "a task that hangs is not Lost as hung")
    hold(isinstance(dead, Lost) and not dead.hung and dead.reason, "a worker that dies leaves no Lost with a reason")
    hold(not multiprocessing.active_children(), "worker processes stay behind")


def closing_ends_the_workers(executor: Executor, timeout: float) -> None:  # noqa: ARG001
    """Closing the iterator early stops what would compute for 1,000 seconds."""
    results = executor.map(Task(troubled, (1,)), (1, HANGS, HANGS, 2), AGES)
    next(results)
    if isinstance(results, Generator):
        results.close()
    del results
    hold(not multiprocessing.active_children(), "worker processes stay behind where the iterator is closed")


Law = Callable[[Executor, float], None]
LAWS: tuple[Law, ...] = (every_item_has_one_result, faults_of_preparation_are_raised)
"""Laws of every executor; each raises :class:`nucleate.testing.BrokenLawError` where it does not hold."""
SEPARATE: tuple[Law, ...] = (each_loses_its_own_item, closing_ends_the_workers)
"""Laws of executors whose workers are processes of their own."""


def check_executor(executor: Executor, separate: bool = True, timeout: float = 3.0) -> None:
    """Put an executor through all laws.

    Arguments:
        executor: Under test.
        separate: Its workers are processes of their own, so that one may hang or die.
        timeout: Seconds given to a task that hangs; the others take none once their worker has started.

    Raises:
        BrokenLawError: A law does not hold.
    """
    for law in (*LAWS, *(SEPARATE if separate else ())):
        law(executor, timeout)
