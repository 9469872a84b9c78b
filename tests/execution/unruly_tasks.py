"""Functions that misbehave, in a module that worker processes can import."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

from nucleate.errors import UserError


def troubled(scale: int) -> Callable[[int], int]:
    """A function that hangs at 3, dies at 5 and raises at 7."""

    def function(task: int) -> int:
        if task == 3:
            time.sleep(1000)
        if task == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        if task == 7:
            raise ValueError("seven")
        return scale * task

    return function


def short_lived() -> Callable[[int], int]:
    """A function whose process ends soon after each answer."""

    def function(task: int) -> int:
        threading.Timer(0.2, os._exit, (0,)).start()
        return 10 * task

    return function


def refusing() -> Callable[[int], int]:
    raise UserError("potential", "'x'", "another")


def dying() -> Callable[[int], int]:
    os._exit(3)
