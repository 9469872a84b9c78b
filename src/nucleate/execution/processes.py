"""A pool of worker processes that survives hung and dying workers and leaves none behind.

The pool of the standard library waits for ever when a worker is killed and cannot stop one task that
hangs; here each worker has its own pipe and at most one task, so that the fault is known to be its own.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from nucleate.errors import UserError

START_SECONDS = 300.0
"""How long a worker may take to import its libraries."""
MAX_FAILED_STARTS = 3
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class WorkersUnavailableError(RuntimeError):
    """Worker processes cannot be started at all."""


@dataclass(frozen=True)
class Lost:
    """What stands in place of a result whose worker hung, died or raised.

    Attributes:
        hung: The worker was stopped because it exceeded its time.
        reason: What happened.
    """

    hung: bool
    reason: str


class Worker:
    """One process that makes its function once and then answers tasks with it."""

    def __init__(self, make: Callable[..., Callable[[Any], Any]], arguments: tuple[Any, ...]) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, make, arguments), daemon=True)
        with nullcontext() if make.__module__ == "__main__" else _without_main_module(), _one_thread():
            self.process.start()
        theirs.close()
        self.ready = False
        self.task: int | None = None
        self.deadline = time.monotonic() + START_SECONDS

    def give(self, index: int, task: Any, seconds: float) -> bool:
        """Start a task that may take ``seconds``; False where the process died since it last answered."""
        try:
            self.pipe.send(task)
        except OSError:
            return False
        self.task, self.deadline = index, time.monotonic() + seconds
        return True

    def stop(self) -> None:
        """End the process, politely and then not."""
        self.pipe.close()
        self.process.terminate()
        self.process.join(2.0)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def map_unordered(
    make: Callable[..., Callable[[Any], Any]],
    arguments: tuple[Any, ...],
    tasks: Sequence[Any],
    workers: int,
    seconds: float,
) -> Iterator[tuple[int, Any | Lost]]:
    """Apply a function to tasks in worker processes and yield (index, result) as they finish.

    Closing the iterator, an exception in the caller or Ctrl-C end all workers.

    Arguments:
        make: Called once in each worker with ``arguments``; returns the function. Both must be importable.
        arguments: What ``make`` is called with.
        tasks: What the function is called with, one by one.
        workers: Number of processes.
        seconds: Time for one task; a worker that takes longer is replaced.

    Raises:
        WorkersUnavailableError: Workers fail before they are ready.
    """
    waiting = list(range(len(tasks)))[::-1]
    crew: list[Worker] = []
    failed_starts = 0
    try:
        while waiting or any(w.task is not None for w in crew):
            while len(crew) < min(workers, len(waiting) + sum(w.task is not None for w in crew)):
                crew.append(Worker(make, arguments))
            left = min(w.deadline for w in crew if w.task is not None or not w.ready) - time.monotonic()
            wait([w.pipe for w in crew], timeout=max(left, 0.0))
            for worker in list(crew):
                index, was_ready, alive = worker.task, worker.ready, True
                try:
                    if worker.pipe.poll():
                        result = worker.pipe.recv()
                    elif time.monotonic() > worker.deadline and (index is not None or not was_ready):
                        result, alive = Lost(True, f"stopped after {seconds:.0f} s without an answer"), False
                    else:
                        continue
                except (EOFError, OSError):
                    worker.process.join(2.0)
                    reason = f"the worker process died (exit code {worker.process.exitcode})"
                    result, alive = Lost(False, reason), False
                if not was_ready and isinstance(result, Exception):
                    raise result
                if alive:
                    worker.ready, worker.task = True, None
                    if waiting and (alive := worker.give(waiting[-1], tasks[waiting[-1]], seconds)):
                        waiting.pop()
                if alive:
                    failed_starts = 0
                else:
                    worker.stop()
                    crew.remove(worker)
                    failed_starts += not was_ready
                    if failed_starts >= MAX_FAILED_STARTS:
                        reason = result.reason if isinstance(result, Lost) else "they die at once"
                        raise WorkersUnavailableError(f"worker processes do not start: {reason}")
                if index is not None:  # after the next task was given, so that nobody waits for the caller
                    yield index, result
    finally:
        for worker in crew:
            worker.stop()


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _serve(pipe: Connection, make: Callable[..., Callable[[Any], Any]], arguments: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    threading.Thread(target=_follow_parent, daemon=True).start()
    try:
        function = make(*arguments)
    except UserError as fault:
        pipe.send(fault)
        return
    except Exception as fault:  # noqa: BLE001 - whatever it is, the parent reports it
        pipe.send(WorkersUnavailableError(f"{type(fault).__name__}: {fault}"))
        return
    try:
        pipe.send(None)
        while True:
            task = pipe.recv()
            try:
                answer = function(task)
            except UserError as fault:  # such as an element that the potential does not know
                answer = Lost(False, str(fault))
            except Exception as fault:  # noqa: BLE001 - a task's fault is its own row
                answer = Lost(False, f"{type(fault).__name__}: {fault}")
            pipe.send(answer)
    except (EOFError, OSError):
        return  # the parent is gone or no longer listens


def _follow_parent() -> None:
    """End this process when its parent has gone, in the middle of a task if need be."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


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
