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
from typing import IO, Any, Never, Self

from nucleate.crystal.crystals import Crystals
from nucleate.errors import UserError
from nucleate.potentials import calculator_server as server
from nucleate.potentials.potential import CalculatorFaultError, Evaluation, gathered

START_SECONDS = 240.0
"""How long the other interpreter may take until its calculator is ready; less than a worker process may take."""
GREETING_LINES, GREETING_LENGTH = 200, 10_000
"""What an interpreter may print by itself as it starts, before it runs our script."""
TAIL = 4_000
"""Characters kept of what the other interpreter prints."""


class InterpreterLostError(CalculatorFaultError):
    """The other interpreter ended without an answer."""


class InterpreterPotential:
    """An ASE calculator in a process of its own; its crystals are evaluated one by one.

    The process is started once and again if it has died; it ends when this object or this process does.

    Arguments:
        name: See `calculator_server.make_calculator`.
        keywords: What the calculator is made with.
        python: Path of an interpreter that has numpy, ASE and the calculator's package.

    Raises:
        UserError: The path is no interpreter, a package is missing there, or the calculator cannot be made.
    """

    def __init__(self, name: str, keywords: dict[str, Any], python: str) -> None:
        self.name, self.keywords, self.python = name, keywords, _executable(python)
        self.outside_seconds = 0.0
        self._process = _Process(name, keywords, self.python)

    @property
    def version(self) -> str:
        """Package and version of the calculator."""
        return str(self._process.answered["version"])

    @property
    def place(self) -> str:
        """Where it runs."""
        hello = self._process.answered
        return f"run by {self.python} (Python {hello['python']}, ase {hello['ase']})"

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
            answer = self._process.ask({"numbers": numbers, "frac": frac, "lattice": lattice})
            self.outside_seconds += answer["seconds"]
            if "error" in answer:
                raise CalculatorFaultError(answer["error"])
            found.append(answer)
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
        answered: What it said when it started: versions of python, numpy, ase and of the calculator.
    """

    def __init__(self, name: str, keywords: dict[str, Any], python: str) -> None:
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
        self._questions, self._answers = _piped(self.process.stdin), _piped(self.process.stdout)
        self._tail = _Tail(_piped(self.process.stderr))
        late = threading.Event()
        alarm = threading.Timer(START_SECONDS, _kill, (self.process, late))
        alarm.daemon = True
        alarm.start()
        try:
            self.answered = self._greeting()
            self.answered |= self._calculator(name, keywords)
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

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """One message, one answer.

        Raises:
            InterpreterLostError: The process died.
        """
        try:
            self._questions.write(json.dumps(message).encode() + b"\n")
            self._questions.flush()
        except OSError:
            self._mourn()
        return self._answer()

    def stop(self) -> None:
        """End the process."""
        self._end()

    def _greeting(self) -> dict[str, Any]:
        """The first message; lines before it are the interpreter's own."""
        for _ in range(GREETING_LINES):
            line = self._answers.readline(GREETING_LENGTH)
            if not line:
                self._mourn()
            hello = _read(line)
            if hello is not None and hello.get("protocol") == server.PROTOCOL:
                break
        else:
            raise UserError("--python", f"{self.python}, which answers as no Python does", "a Python interpreter")
        for package in ("numpy", "ase"):
            if hello[package] is None:
                raise UserError(self.where, f"no module {package!r}", f"it installed: pip install {package}")
        return hello

    def _calculator(self, name: str, keywords: dict[str, Any]) -> dict[str, Any]:
        made = self.ask({"protocol": server.PROTOCOL, "calculator": name, "keywords": keywords})
        if "mistake" in made:
            found, expected = made["mistake"]
            raise UserError(self.where, found, expected)
        return made

    def _answer(self) -> dict[str, Any]:
        answer = _read(self._answers.readline())
        if answer is None:
            self._mourn()
        return answer

    def _mourn(self) -> Never:
        """Say why there is no answer; a process that talks nonsense is ended."""
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


def _read(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _kill(process: subprocess.Popen[bytes], told: threading.Event) -> None:
    told.set()
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
