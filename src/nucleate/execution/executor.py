"""Executors of many independent tasks, the stand-in for a lost result, and callbacks of progress."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from nucleate.errors import UserError
from nucleate.plugins import Registry

Item = TypeVar("Item")
Result = TypeVar("Result")


class WorkersUnavailableError(RuntimeError):
    """Workers cannot be started at all."""


@dataclass(frozen=True)
class Lost:
    """Stands in place of a result whose worker hung, died or raised.

    Attributes:
        hung: The worker was stopped because it exceeded its time.
        reason: Cause in words.
    """

    hung: bool
    reason: str


@dataclass(frozen=True)
class Task(Generic[Item, Result]):
    """A function that each worker prepares once and then applies to item after item.

    Attributes:
        make: Returns the function; called once in each worker with ``arguments``. It must be importable there.
        arguments: Arguments of ``make``, which can be pickled.
    """

    make: Callable[..., Callable[[Item], Result]]
    arguments: tuple[Any, ...] = ()


class Executor(Protocol):
    """Applies a task to items, wherever they are computed.

    Attributes:
        workers: How many items are computed at a time.
    """

    @property
    def workers(self) -> int: ...

    def map(
        self, task: Task[Item, Result], items: Sequence[Item], timeout: float
    ) -> Iterator[tuple[int, Result | Lost]]:
        """Yield (index, result) of every item once, as they finish; closing the iterator stops the rest.

        A task that raises, hangs or kills its worker gives :class:`Lost` for its item and leaves the others alone.

        Arguments:
            task: The function.
            items: Arguments of the function, one call each; started in this order.
            timeout: Seconds for one item; where workers are separate, one that takes longer is replaced.

        Raises:
            UserError: Preparing the task failed by a mistake of the user's, such as an unknown potential.
            WorkersUnavailableError: Workers fail before they are ready.
        """


@dataclass(frozen=True)
class Serial:
    """Computes in this process, one item after the other; nothing stops an item that hangs.

    Attributes:
        workers: Accepted for uniformity; one item is computed at a time.
    """

    workers: int = 1

    def map(
        self,
        task: Task[Item, Result],
        items: Sequence[Item],
        timeout: float,  # noqa: ARG002 - an item cannot be stopped from inside its own process
    ) -> Iterator[tuple[int, Result | Lost]]:
        """Yield (index, result) in the order of the items; seconds are not limited. See :meth:`Executor.map`."""
        if not items:
            return
        function = prepared(task)
        for index, item in enumerate(items):
            yield index, computed(function, item)


def prepared(task: Task[Item, Result]) -> Callable[[Item], Result]:
    """The function of a task, made here.

    Raises:
        UserError: A mistake of the user's.
        WorkersUnavailableError: Making it failed otherwise.
    """
    try:
        return task.make(*task.arguments)
    except UserError:
        raise
    except Exception as fault:
        raise WorkersUnavailableError(f"{type(fault).__name__}: {fault}") from fault


def computed(function: Callable[[Item], Result], item: Item) -> Result | Lost:
    """Result of one item; an exception becomes :class:`Lost`, since an item's fault is its own row."""
    try:
        return function(item)
    except UserError as fault:  # such as an element that the potential does not know
        return Lost(False, str(fault))
    except Exception as fault:  # noqa: BLE001 - whatever it is, the other items go on
        return Lost(False, f"{type(fault).__name__}: {fault}")


def usable_cores() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


EXECUTORS: Registry[Callable[[int], Executor]] = Registry(
    "executor",
    "nucleate.executors",
    {"processes": "nucleate.execution.processes:Processes", "serial": "nucleate.execution.executor:Serial"},
)
"""Executors by name, each made from a number of workers."""


VARIABLE = "NUCLEATE_EXECUTOR"
"""Names the executor of all commands that compute."""


def load_executor(name: str | None = None, workers: int | None = None) -> Executor:
    """An executor by name.

    Arguments:
        name: ``processes`` (of this machine), ``serial`` (this process), or the name that a plugin gave to another;
            that of the environment variable ``NUCLEATE_EXECUTOR`` if None, and ``processes`` where it has none.
        workers: Items computed at a time; all usable cores if None.

    Raises:
        UserError: There is no such executor.
    """
    return EXECUTORS.get(name or os.environ.get(VARIABLE) or "processes")(workers or usable_cores())


Progress = Callable[[str, int, int], None]
"""Called with a stage, how many crystals are through it, and how many there are."""


def silent(stage: str, done: int, total: int) -> None:
    """Progress for nobody."""


def counted(progress: Progress, stage: str, start: int, total: int) -> Callable[[int], None]:
    """Progress of a part of a stage, which begins after ``start`` crystals."""

    def update(done: int) -> None:
        progress(stage, start + done, total)

    return update
