"""A potential that runs in another interpreter, so that what it depends on never meets what we depend on."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import threading
import weakref
from pathlib import Path
from typing import IO, Never, Self, TypeVar

from pydantic import TypeAdapter, ValidationError

from nucleate.crystal.crystals import Crystals
from nucleate.errors import UserError
from nucleate.potentials import calculator_server as server
from nucleate.potentials.potential import CalculatorFaultError, Evaluation, gathered

START_SECONDS = 240.0
"""Seconds that the process may take until its calculator is ready; fewer than a worker process may take."""
GREETING_LINES, GREETING_LENGTH = 200, 10_000
"""Lines and characters that an interpreter may print by itself as it starts, before it runs our script."""
TAIL = 4_000
"""Characters kept of the process's standard error."""

_Reply = TypeVar("_Reply")
_GREETING: TypeAdapter[server.Greeting] = TypeAdapter(server.Greeting)
_MADE: TypeAdapter[server.Made | server.Refused] = TypeAdapter(server.Made | server.Refused)
_EVALUATED: TypeAdapter[server.Evaluated | server.Failed] = TypeAdapter(server.Evaluated | server.Failed)


class InterpreterLostError(CalculatorFaultError):
    """The process ended without a reply."""


class SubprocessPotential:
    """An ASE calculator in a process of its own; its crystals are evaluated one by one.

    The process is started once and again if it has died; it ends when this object or this process does.

    Arguments:
        name: See `calculator_server.make_calculator`.
        keywords: What the calculator is made with.
        python: Path of an interpreter that has numpy, ASE and the calculator's package.

    Raises:
        UserError: The path is no interpreter, a package is missing there, or the calculator cannot be made.
    """

    def __init__(self, name: str, keywords: server.Keywords, python: str) -> None:
        self.name, self.keywords, self.python = name, keywords, _executable(python)
        self.outside_seconds = 0.0
        self._process = _Process(name, keywords, self.python)

    @property
    def version(self) -> str:
        """Package and version of the calculator."""
        return self._process.version

    @property
    def place(self) -> str:
        """Where it runs."""
        greeting = self._process.greeting
        return f"run by {self.python} (Python {greeting.python}, ase {greeting.ase})"

    def evaluate(self, crystals: Crystals) -> Evaluation:
        """See `Potential.evaluate`.

        Raises:
            CalculatorFaultError: The calculator raised.
            InterpreterLostError: The process died; the next evaluation starts another.
        """
        if not self._process.lives:
            self._process = _Process(self.name, self.keywords, self.python)
        found = []
        for i in range(len(crystals)):
            numbers, frac, lattice = (part.tolist() for part in crystals.sites(i))
            reply = self._process.request(server.Crystal(numbers, frac, lattice), _EVALUATED)
            self.outside_seconds += reply.seconds
            if isinstance(reply, server.Failed):
                raise CalculatorFaultError(reply.error)
            found.append(reply)
        return gathered(crystals, found)

    def close(self) -> None:
        """End the process."""
        self._process.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


class _Process:
    """One run of `calculator_server` whose calculator is ready.

    Attributes:
        greeting: Versions of its Python and packages.
        version: Package and version of the calculator.
    """

    def __init__(self, name: str, keywords: server.Keywords, python: str) -> None:
        self.python = python
        self.where = f"potential {name!r} in {python}"
        # Paths of this environment's own installation would bring its packages into the other one.
        environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONHOME", "__PYVENV_LAUNCHER__")}
        try:
            self.process = subprocess.Popen(
                [python, server.__file__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**environment, "PYTHONUNBUFFERED": "1"},
            )
        except OSError as fault:
            raise UserError("--python", f"{python} ({fault.strerror})", "an interpreter that can be started") from None
        self._end = weakref.finalize(self, _stop, self.process)
        self._requests, self._replies = _piped(self.process.stdin), _piped(self.process.stdout)
        self._tail = _Tail(_piped(self.process.stderr))
        late = threading.Event()
        alarm = threading.Timer(START_SECONDS, _kill, (self.process, late))
        alarm.daemon = True
        alarm.start()
        try:
            self.greeting = self._greeting()
            self.version = self._calculator(server.Order(name, keywords))
        except InterpreterLostError as fault:
            self.stop()
            within = f" within {START_SECONDS:.0f} s" if late.is_set() else ""
            raise UserError(self.where, f"no answer{within}: {fault}", "an interpreter with numpy and ase") from None
        except UserError:
            self.stop()
            raise
        finally:
            alarm.cancel()

    @property
    def lives(self) -> bool:
        return self.process.poll() is None

    def request(self, message: server.Order | server.Crystal, replies: TypeAdapter[_Reply]) -> _Reply:
        """The reply to a message.

        Raises:
            InterpreterLostError: The process died, or replied with something else; then it is ended.
        """
        try:
            self._requests.write(json.dumps(vars(message)).encode() + b"\n")
            self._requests.flush()
            return replies.validate_json(self._replies.readline())
        except (OSError, ValidationError):
            self._give_up()

    def stop(self) -> None:
        """End the process."""
        self._end()

    def _greeting(self) -> server.Greeting:
        """The first message; lines before it are the interpreter's own."""
        for _ in range(GREETING_LINES):
            line = self._replies.readline(GREETING_LENGTH)
            if not line:
                self._give_up()
            with contextlib.suppress(ValidationError):
                greeting = _GREETING.validate_json(line)
                if greeting.protocol == server.PROTOCOL:
                    break
        else:
            raise UserError("--python", f"{self.python}, which answers as no Python does", "a Python interpreter")
        for package, version in (("numpy", greeting.numpy), ("ase", greeting.ase)):
            if version is None:
                raise UserError(self.where, f"no module {package!r}", f"it installed: pip install {package}")
        return greeting

    def _calculator(self, order: server.Order) -> str:
        """Package and version of the calculator that was made."""
        made = self.request(order, _MADE)
        if isinstance(made, server.Refused):
            raise UserError(self.where, *made.mistake)
        return made.version

    def _give_up(self) -> Never:
        """End the process and say why there is no reply."""
        self.stop()
        said = self._tail.last_line()
        code = self.process.returncode
        raise InterpreterLostError(f"the other interpreter ended (exit code {code})" + (f": {said}" if said else ""))


class _Tail:
    """The end of what a process prints; reading it all keeps the process from waiting for us."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._kept = stream, b""
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def last_line(self) -> str:
        """The last line that says something, cut to 300 characters."""
        self._thread.join(1.0)
        lines = self._kept.decode(errors="replace").split("\n")
        return next((" ".join(line.split())[:300] for line in reversed(lines) if line.strip()), "")

    def _follow(self) -> None:
        while chunk := os.read(self._stream.fileno(), 65_536):
            self._kept = (self._kept + chunk)[-TAIL:]
        self._stream.close()


def _piped(stream: IO[bytes] | None) -> IO[bytes]:
    """A stream of a process that was started with a pipe for it."""
    if stream is None:
        raise RuntimeError("a process without pipes")
    return stream


def _kill(process: subprocess.Popen[bytes], late: threading.Event) -> None:
    late.set()
    process.kill()


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a process, politely and then not, and take its exit code."""
    with contextlib.suppress(OSError):
        _piped(process.stdin).close()
    try:
        process.wait(2.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    _piped(process.stdout).close()


def _executable(python: str) -> str:
    """The full path of an interpreter; links are kept, since a virtual environment is known by its link.

    Raises:
        UserError: There is nothing that can be run.
    """
    path = Path(python).expanduser()
    if path.is_dir():
        raise UserError("--python", f"the folder {python}", f"an interpreter, such as {path / 'bin' / 'python'}")
    found = shutil.which(path)
    if found is None:
        what = "which is not executable" if path.exists() else "which does not exist"
        raise UserError("--python", f"{python}, {what}", "the path of a Python interpreter")
    return str(Path(found).absolute())
