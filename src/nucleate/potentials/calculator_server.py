"""An ASE calculator that is served on standard streams, for interpreters that cannot import Nucleate.

This one file needs Python 3.8 or later, numpy and ASE, and nothing of ours: another interpreter runs it as a
script. Nucleate imports it too, for the calculators of its own environment, so that both ways give the same numbers.

Messages are lines of JSON; each line in gets one line out. The floats of both sides are float64 and pass unchanged.

    out {"protocol": 1, "python": "3.10.12", "numpy": "2.0.2", "ase": "3.26.0"}         first, unasked
    in  {"protocol": 1, "calculator": "mace", "keywords": {"model": "medium"}}
    out {"version": "mace-torch 0.3.14"}                          or {"mistake": [what was found, what was expected]}
    in  {"numbers": [29], "frac": [[0, 0, 0]], "lattice": [[0, 1.8, 1.8], ...]}         as often as needed
    out {"energy": -0.01, "forces": [...], "stress": [...], "magmoms": null, "seconds": 0.002}     or {"error": "..."}

The end of standard input ends the process, also in the middle of an evaluation. Whatever a calculator prints goes
to standard error, and nothing it reads comes from our stream.
"""

from __future__ import annotations

import inspect
import json
import os
import platform
import queue
import signal
import sys
import threading
import time
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, BinaryIO, Callable, Dict, List, Optional, Tuple, Union  # noqa: UP035 - as old interpreters have it

PROTOCOL = 1
NEEDED = ("energy", "forces", "stress")
FORCE_FIELDS = {
    "mace": ("mace.calculators:mace_mp", "mace-torch"),
    "mattersim": ("mattersim.forcefield:MatterSimCalculator", "mattersim"),
    "orb": ("orb_models.forcefield:pretrained", "orb-models"),
    "sevenn": ("sevenn.calculator:SevenNetCalculator", "sevenn"),
}
"""Force fields that have a short name: what makes their calculator, and the package that brings it."""

Keywords = Dict[str, Union[bool, int, float, str, List[Any], None]]  # noqa: UP006, UP007
"""Keyword arguments of a calculator, as JSON has them."""


@dataclass(frozen=True)
class Greeting:
    """The first message of a process: protocol and versions; None for a package that it lacks."""

    protocol: int
    python: str
    numpy: Optional[str]  # noqa: UP045
    ase: Optional[str]  # noqa: UP045


@dataclass(frozen=True)
class Order:
    """The calculator that a process is to make; numbers among its keywords are in eV and Å, as ASE has them."""

    calculator: str
    keywords: Keywords
    protocol: int = PROTOCOL


@dataclass(frozen=True)
class Made:
    """A calculator that is ready; package and version."""

    version: str


@dataclass(frozen=True)
class Refused:
    """An order that cannot be met: what was found, and what would have been right."""

    mistake: Tuple[str, str]  # noqa: UP006


@dataclass(frozen=True)
class Crystal:
    """A crystal of n sites to be evaluated.

    Attributes:
        numbers: Atomic numbers, shape (n,).
        frac: Fractional coordinates, shape (n, 3).
        lattice: Cell as rows in Å, shape (3, 3).
    """

    numbers: Any
    frac: Any
    lattice: Any


@dataclass(frozen=True)
class Evaluated:
    """Energy, forces, stress and moments of a crystal of n sites.

    Attributes:
        energy: In eV.
        forces: In eV/Å, shape (n, 3).
        stress: In eV/Å³, positive under tension, shape (3, 3).
        magmoms: Sizes of the magnetic moments in µB, shape (n,), or None.
        seconds: Processor time that it took.
    """

    energy: float
    forces: Any
    stress: Any
    magmoms: Any
    seconds: float


@dataclass(frozen=True)
class Failed:
    """A crystal that the calculator raised for: the error in words, and the processor time in seconds."""

    error: str
    seconds: float


Message = Union[Greeting, Order, Made, Refused, Crystal, Evaluated, Failed]  # noqa: UP007


class CalculatorError(ValueError):
    """There is no such calculator, or it cannot be made.

    Arguments:
        found: What was found.
        expected: What would have been right.
    """

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(f"found {found}; expected {expected}")
        self.found, self.expected = found, expected


def make_calculator(name: str, keywords: Keywords) -> Any:
    """The calculator of that name: ``ase:emt``, ``module:attribute`` or a key of `FORCE_FIELDS`.

    Arguments:
        name: Which one.
        keywords: Arguments of its class or factory, in eV and Å as ASE has them.

    Raises:
        CalculatorError: There is no such calculator, its package is missing, or it cannot be made so.
    """
    try:
        factory = _factory(name)
        if name.startswith("ase:"):
            _refuse_unknown(factory, keywords)
        made = factory(**keywords)
    except CalculatorError:
        raise
    except ModuleNotFoundError as fault:
        how = f": pip install {FORCE_FIELDS[name][1]}" if name in FORCE_FIELDS else " or on PYTHONPATH"
        raise CalculatorError(f"no module {fault.name!r}", f"it installed{how}") from fault
    except Exception as fault:
        raise CalculatorError(in_words(fault), "a calculator that can be made") from fault
    if not hasattr(made, "get_property"):
        raise CalculatorError(f"an object of type {type(made).__name__}", "an ASE calculator")
    able = getattr(made, "implemented_properties", NEEDED)
    lacking = [prop for prop in NEEDED if prop not in able]
    if lacking:
        raise CalculatorError(f"a calculator without {' and '.join(lacking)}", "one with " + ", ".join(NEEDED))
    return made


def version_of(name: str) -> str:
    """Package and version that a calculator comes from."""
    if name.startswith("ase:"):
        package = "ase"
    else:
        package = FORCE_FIELDS[name][1] if name in FORCE_FIELDS else name.partition(":")[0].partition(".")[0]
    try:
        return f"{package} {metadata.version(package)}"
    except metadata.PackageNotFoundError:
        return f"{package}, version not stated"


def evaluate(calculator: Any, crystal: Crystal) -> Evaluated:
    """Energy, forces, stress and moments that an ASE calculator gives for a crystal; what it raises is raised."""
    import numpy as np
    from ase import Atoms

    began = time.process_time()
    atoms = Atoms(
        numbers=crystal.numbers,
        scaled_positions=crystal.frac,
        cell=crystal.lattice,
        pbc=True,
        calculator=calculator,
    )
    energy = float(atoms.get_potential_energy())
    forces = np.asarray(atoms.get_forces(), dtype=np.float64)
    stress = np.asarray(atoms.get_stress(voigt=False), dtype=np.float64)
    moments = calculator.results.get("magmoms")
    magmoms = None if moments is None else np.abs(np.asarray(moments, dtype=np.float64))
    return Evaluated(energy, forces, stress, magmoms, time.process_time() - began)


def in_words(fault: Exception) -> str:
    """Kind and message of an exception on one line of at most 300 characters."""
    return " ".join(f"{type(fault).__name__}: {fault}".split())[:300]


def _factory(name: str) -> Callable[..., Any]:
    if name == "orb":
        return _orb
    module_name, _, attribute = FORCE_FIELDS.get(name, (name,))[0].partition(":")
    if not attribute:
        raise CalculatorError(f"no potential {name!r}", _EXPECTED)
    if module_name == "ase":
        return _ase_class(attribute)
    found: Any = import_module(module_name)
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise CalculatorError(f"no {attribute!r} in {module_name}", _MAKER)
        found = getattr(found, part)
    if not callable(found):
        raise CalculatorError(f"an object of type {type(found).__name__}", _MAKER)
    return found  # type: ignore[no-any-return]


def _ase_class(name: str) -> Callable[..., Any]:
    from ase.calculators.calculator import get_calculator_class
    from ase.calculators.names import names

    try:
        return get_calculator_class({known.lower(): known for known in names}.get(name.lower(), name))  # type: ignore[no-any-return]
    except (ImportError, AttributeError, ValueError) as fault:
        if isinstance(fault, ModuleNotFoundError) and fault.name and not fault.name.startswith("ase."):
            raise
        version = metadata.version("ase")
        raise CalculatorError(f"no calculator {name!r} in ase {version}", "a name such as ase:emt or ase:lj") from None


def _refuse_unknown(factory: Any, keywords: Keywords) -> None:
    """ASE's own calculators keep any keyword argument and ignore what they do not know, also a misspelt one."""
    from ase.calculators.calculator import FileIOCalculator

    defaults = getattr(factory, "default_parameters", {})
    if not defaults or issubclass(factory, FileIOCalculator):  # those hand theirs on to a program
        return
    known = set(defaults)
    for kind in factory.__mro__:
        known.update(inspect.signature(kind.__init__).parameters)
    for key in keywords:
        if key not in known - {"self", "args", "kwargs"}:
            raise CalculatorError(f"keyword argument {key!r}", "one of " + ", ".join(sorted(defaults)))


def _orb(model: str = "orb_v3_conservative_inf_omat", device: str = "cpu", **keywords: Any) -> Any:
    pretrained = import_module("orb_models.forcefield.pretrained")
    if not hasattr(pretrained, model):
        raise CalculatorError(f"no model {model!r} in orb_models", "a function of orb_models.forcefield.pretrained")
    loaded = getattr(pretrained, model)(device=device, **keywords)
    if isinstance(loaded, tuple):  # a model and its adapter, from version 0.6 on
        calculators = import_module("orb_models.forcefield.inference.calculator")
        return calculators.ORBCalculator(loaded[0], atoms_adapter=loaded[1], device=device)
    return import_module("orb_models.forcefield.calculator").ORBCalculator(loaded, device=device)


_MAKER = "a calculator's class, or a function that makes one"
_EXPECTED = f"chgnet, ase:NAME, module:CLASS, or one of {', '.join(sorted(FORCE_FIELDS))}"


def serve() -> None:
    """Meet requests until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the process that asks decides
    requests, replies = _detached_pipes()
    waiting: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests, waiting), daemon=True).start()

    def say(message: Message) -> None:
        replies.write(json.dumps(vars(message), default=lambda array: array.tolist()).encode() + b"\n")
        replies.flush()

    say(Greeting(PROTOCOL, platform.python_version(), _known("numpy"), _known("ase")))
    order = Order(**json.loads(waiting.get()))
    try:
        if order.protocol != PROTOCOL:
            raise CalculatorError(f"protocol {order.protocol}", f"protocol {PROTOCOL}")
        calculator = make_calculator(order.calculator, order.keywords)
    except CalculatorError as mistake:
        say(Refused((mistake.found, mistake.expected)))
        return
    say(Made(version_of(order.calculator)))
    while True:
        crystal = Crystal(**json.loads(waiting.get()))
        began = time.process_time()
        try:
            say(evaluate(calculator, crystal))
        except Exception as fault:  # noqa: BLE001 - a calculator's fault is the crystal's row
            say(Failed(in_words(fault), time.process_time() - began))


def _detached_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Our ends of standard input and output, out of reach of whatever the calculator prints or reads."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return requests, replies


def _listen(requests: BinaryIO, waiting: queue.SimpleQueue[bytes]) -> None:
    for line in requests:
        waiting.put(line)
    os._exit(0)  # whoever asked is gone, and what is being computed is for nobody


def _known(package: str) -> str | None:
    try:
        return str(getattr(import_module(package), "__version__", "of unknown version"))
    except ImportError:
        return None


if __name__ == "__main__":
    # The folder of a script comes first on the path, where our modules would hide those of other packages.
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != Path(__file__).resolve().parent]
    serve()
