"""An ASE calculator that answers on its standard streams, for interpreters that cannot import Nucleate.

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
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, BinaryIO, Callable  # noqa: UP035 - as old interpreters have it

PROTOCOL = 1
NEEDED = ("energy", "forces", "stress")
FORCE_FIELDS = {
    "mace": ("mace", "mace-torch"),
    "mattersim": ("mattersim", "mattersim"),
    "orb": ("orb_models", "orb-models"),
    "sevenn": ("sevenn", "sevenn"),
}
"""Force fields that have a short name: the module and the package that brings it."""


class CalculatorError(ValueError):
    """There is no such calculator, or it cannot be made.

    Arguments:
        found: What was found.
        expected: What would have been right.
    """

    def __init__(self, found: str, expected: str) -> None:
        super().__init__(f"found {found}; expected {expected}")
        self.found, self.expected = found, expected


def make_calculator(name: str, keywords: dict[str, Any]) -> Any:
    """The calculator of that name: ``ase:emt``, ``module:attribute`` or a key of `FORCE_FIELDS`.

    Arguments:
        name: Which one.
        keywords: What its class or factory is called with.

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


def evaluate(calculator: Any, numbers: Any, frac: Any, lattice: Any) -> dict[str, Any]:
    """Energy in eV, forces in eV/Å (n, 3), stress in eV/Å³ (3, 3) and magnetic moments in µB (n,) or None."""
    import numpy as np
    from ase import Atoms

    atoms = Atoms(numbers=numbers, scaled_positions=frac, cell=lattice, pbc=True, calculator=calculator)
    energy = float(atoms.get_potential_energy())
    forces = np.asarray(atoms.get_forces(), dtype=np.float64)
    stress = np.asarray(atoms.get_stress(voigt=False), dtype=np.float64)
    moments = calculator.results.get("magmoms")
    magmoms = None if moments is None else np.abs(np.asarray(moments, dtype=np.float64))
    return {"energy": energy, "forces": forces, "stress": stress, "magmoms": magmoms}


def in_words(fault: Exception) -> str:
    """Kind and message of an exception on one line of at most 300 characters."""
    return " ".join(f"{type(fault).__name__}: {fault}".split())[:300]


def _factory(name: str) -> Callable[..., Any]:
    if name in FORCE_FIELDS:
        return _FACTORIES[name]
    module_name, _, attribute = name.partition(":")
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


def _refuse_unknown(factory: Any, keywords: dict[str, Any]) -> None:
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


def _mace(**keywords: Any) -> Any:
    from mace.calculators import mace_mp

    return mace_mp(**keywords)


def _mattersim(**keywords: Any) -> Any:
    from mattersim.forcefield import MatterSimCalculator

    return MatterSimCalculator(**keywords)


def _orb(model: str = "orb_v3_conservative_inf_omat", device: str = "cpu", **keywords: Any) -> Any:
    from orb_models.forcefield import pretrained

    if not hasattr(pretrained, model):
        raise CalculatorError(f"no model {model!r} in orb_models", "a function of orb_models.forcefield.pretrained")
    loaded = getattr(pretrained, model)(device=device, **keywords)
    if isinstance(loaded, tuple):  # a model and its adapter, from version 0.6 on
        from orb_models.forcefield.inference.calculator import ORBCalculator

        return ORBCalculator(loaded[0], atoms_adapter=loaded[1], device=device)
    from orb_models.forcefield.calculator import ORBCalculator

    return ORBCalculator(loaded, device=device)


def _sevenn(**keywords: Any) -> Any:
    from sevenn.calculator import SevenNetCalculator

    return SevenNetCalculator(**keywords)


_FACTORIES: dict[str, Callable[..., Any]] = {"mace": _mace, "mattersim": _mattersim, "orb": _orb, "sevenn": _sevenn}
_MAKER = "a calculator's class, or a function that makes one"
_EXPECTED = f"chgnet, ase:NAME, module:CLASS, or one of {', '.join(sorted(FORCE_FIELDS))}"


def serve() -> None:
    """Answer requests until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the process that asks decides
    requests, replies = _private_streams()
    waiting: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests, waiting), daemon=True).start()

    def say(message: dict[str, Any]) -> None:
        replies.write(json.dumps(message, default=lambda array: array.tolist()).encode() + b"\n")
        replies.flush()

    say({"protocol": PROTOCOL, "python": platform.python_version(), "numpy": _known("numpy"), "ase": _known("ase")})
    asked = json.loads(waiting.get())
    try:
        if asked["protocol"] != PROTOCOL:
            raise CalculatorError(f"protocol {asked['protocol']}", f"protocol {PROTOCOL}")
        calculator = make_calculator(asked["calculator"], asked["keywords"])
    except CalculatorError as mistake:
        say({"mistake": [mistake.found, mistake.expected]})
        return
    say({"version": version_of(asked["calculator"])})
    while True:
        crystal = json.loads(waiting.get())
        began = time.process_time()
        try:
            answer = evaluate(calculator, crystal["numbers"], crystal["frac"], crystal["lattice"])
        except Exception as fault:  # noqa: BLE001 - a calculator's fault is the crystal's row
            answer = {"error": in_words(fault)}
        say({**answer, "seconds": time.process_time() - began})


def _private_streams() -> tuple[BinaryIO, BinaryIO]:
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
