"""Worker processes of this machine on pebble: hung and dying ones cost one item each, and none stays behind."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any, ClassVar

from pebble import ProcessExpired, ProcessFuture, ProcessPool

from nucleate.errors import UserError
from nucleate.execution.executor import (
    Item,
    Lost,
    Result,
    Task,
    WorkersUnavailableError,
    computed,
    prepared,
    usable_cores,
)

MAX_FAILED_STARTS = 3
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Processes:
    """Worker processes of one thread each.

    Attributes:
        workers: Number of processes; one a usable core by default.
    """

    workers: int = field(default_factory=usable_cores)

    def map(
        self, task: Task[Item, Result], items: Sequence[Item], timeout: float
    ) -> Iterator[tuple[int, Result | Lost]]:
        """Yield (index, result) as items finish; a process is replaced after ``timeout`` seconds with one item.

        See :meth:`nucleate.execution.executor.Executor.map`.
        """
        left = list(range(len(items)))
        failed_starts = 0
        while left:
            done: set[int] = set()
            # A pool breaks where a worker dies without an item; what has no result yet goes to a new one.
            for index, result in _map_in_pool(task, items, left, min(self.workers, len(left)), timeout):
                done.add(index)
                yield index, result
            failed_starts = 0 if done else failed_starts + 1
            left = [index for index in left if index not in done]
            if left and failed_starts >= MAX_FAILED_STARTS:
                raise WorkersUnavailableError("worker processes do not start: they die at once")


def _map_in_pool(
    task: Task[Item, Result], items: Sequence[Item], indices: Sequence[int], workers: int, timeout: float
) -> Iterator[tuple[int, Result | Lost]]:
    """Yield (index, result) until all ``indices`` have one or the pool breaks."""
    context = SpawnContext() if task.make.__module__ == "__main__" else _LeanContext()
    pool = ProcessPool(workers, initializer=_begin, initargs=(task,), context=context)
    finished: queue.SimpleQueue[tuple[int, ProcessFuture[Any]]] = queue.SimpleQueue()
    try:
        for index in indices:
            future = pool.schedule(_compute, args=(items[index],), timeout=timeout)
            future.add_done_callback(partial(_report, finished, index))
        for _ in indices:
            index, future = finished.get()
            fault = future.exception()
            if isinstance(fault, BrokenProcessPool):
                return
            if isinstance(fault, TimeoutError):
                yield index, Lost(True, f"stopped after {timeout:.0f} s without an answer")
            elif isinstance(fault, ProcessExpired):
                yield index, Lost(False, f"the worker process died (exit code {fault.exitcode})")
            elif fault is not None:
                raise fault
            else:
                result = future.result()
                if isinstance(result, _NotPrepared):
                    raise result.fault
                yield index, result
    finally:
        pool.stop()
        pool.join()


def _report(finished: queue.SimpleQueue[tuple[int, ProcessFuture[Any]]], index: int, future: Any) -> None:
    finished.put((index, future))


@dataclass(frozen=True)
class _NotPrepared:
    """Stands for the result of a worker that could not make its function."""

    fault: Exception


class _Worker:
    """State of a worker process: the function that it applies, or why there is none."""

    function: ClassVar[Callable[[Any], Any] | None] = None
    fault: ClassVar[Exception | None] = None


def _begin(task: Task[Any, Any]) -> None:
    """Prepare a new worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    threading.Thread(target=_follow_parent, daemon=True).start()
    try:
        _Worker.function = prepared(task)
    except (UserError, WorkersUnavailableError) as fault:
        _Worker.fault = fault


def _compute(item: Any) -> Any:
    if _Worker.function is None:
        return _NotPrepared(_Worker.fault or WorkersUnavailableError("the worker was not prepared"))
    return computed(_Worker.function, item)


def _follow_parent() -> None:
    """End this process when its parent has gone, in the middle of a task if need be."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


class _LeanProcess(SpawnProcess):
    """A new interpreter of one numerical thread that does not import the user's script again."""

    def start(self) -> None:
        """Start the process."""
        with _without_main_module(), _one_thread():
            super().start()


class _LeanContext(SpawnContext):
    """The context in which pebble starts such processes."""

    Process = _LeanProcess  # type: ignore[assignment]


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep the numerical libraries of a new process from starting a thread a core."""
    saved = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in saved.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _without_main_module() -> Iterator[None]:
    """Keep a new process from importing the user's script again, which it does not need.

    Without this, every script would have to guard its calls by ``if __name__ == "__main__"``.
    """
    main = sys.modules["__main__"]
    saved = {name: getattr(main, name) for name in ("__file__", "__spec__") if hasattr(main, name)}
    try:
        for name in saved:
            setattr(main, name, None)
        yield
    finally:
        for name, value in saved.items():
            setattr(main, name, value)
