"""An executor in one file: a process for each item, one after the other."""

import multiprocessing
import sys
from dataclasses import dataclass

from nucleate.errors import UserError
from nucleate.execution.executor import EXECUTORS, Lost, WorkersUnavailableError, computed, prepared

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["nucleate.relaxation.relaxation"])


def compute(sender, task, item):
    try:
        function = prepared(task)
    except (UserError, WorkersUnavailableError) as fault:
        sender.send(fault)
        return
    sender.send("ready")
    sender.send(computed(function, item))


@dataclass(frozen=True)
class ToyExecutor:
    workers: int = 1

    def map(self, task, items, timeout):
        sys.stderr.write(f"toy executor: {len(items)} items\n")
        for index, item in enumerate(items):
            receiver, sender = CONTEXT.Pipe(duplex=False)
            process = CONTEXT.Process(target=compute, args=(sender, task, item))
            process.start()
            sender.close()
            try:
                yield index, self.wait(process, receiver, timeout)
            finally:
                process.kill()
                process.join()

    def wait(self, process, receiver, timeout):
        try:
            ready = receiver.recv()
            if isinstance(ready, Exception):
                raise ready
            if not receiver.poll(timeout):
                return Lost(True, f"no answer within {timeout:.0f} s")
            return receiver.recv()
        except EOFError:
            process.join()
            return Lost(False, f"the process died (exit code {process.exitcode})")


EXECUTORS.add("toy", ToyExecutor)
