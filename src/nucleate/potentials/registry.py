"""Potentials by name: our own, those of plugins, and ASE calculators by their import paths.

A choice of potential is one string: a name, and keyword arguments behind commas, such as ``chgnet``, ``ase:emt``,
``mace,model=medium`` or ``package.module:factory,cutoff=6``. Values are JSON where they can be read as such, else text.
"""

from __future__ import annotations

import contextlib
import json
import platform
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from inspect import signature
from typing import Any

from nucleate.errors import UserError
from nucleate.plugins import Registry
from nucleate.potentials import calculator_server as server
from nucleate.potentials.potential import CalculatorPotential, Potential
from nucleate.potentials.subprocess_potential import SubprocessPotential

CHGNET, TORCHSIM = "chgnet", "torchsim"
CHGNET_SCALE = "CHGNet 0.3.0"
HERE = "in this environment"
HOW = frozenset({"device", "batch_sites"})
"""Keyword arguments that say how energies are computed, not which."""
POTENTIALS: Registry[Callable[..., Potential]] = Registry(
    "potential",
    "nucleate.potentials",
    {
        CHGNET: "nucleate.potentials.chgnet:CHGNetPotential",
        TORCHSIM: "nucleate.potentials.torch_sim:TorchSimPotential",
    },
)
"""Potentials by name, each made from keyword arguments; a plugin adds its own."""
_NEXT_KEYWORD = re.compile(r",(?=[A-Za-z_]\w*=)")


@dataclass(frozen=True)
class Provenance:
    """Where a potential's numbers come from.

    Attributes:
        scale: Energies of one scale can be compared; what references are marked with.
        version: Package and version.
        place: Where it runs.
        work: Key of what to cite for it, see `nucleate.citations`; empty where we know none.
    """

    scale: str
    version: str
    place: str
    work: str = ""

    def __str__(self) -> str:
        return f"{self.scale} ({self.version}), {self.place}"


def parse_choice(text: str) -> tuple[str, server.Keywords]:
    """Name and keyword arguments of a choice.

    Raises:
        UserError: There is no name, or something behind a comma is no keyword argument.
    """
    name, *rest = _NEXT_KEYWORD.split(text.strip())
    if not name or "," in name or "=" in name:
        raise UserError("potential", repr(text), "a name, and keyword arguments as in 'ase:lj,sigma=3.4,rc=8.0'")
    keywords: server.Keywords = {}
    for item in rest:
        key, _, value = item.partition("=")
        try:
            keywords[key] = json.loads(value)
        except ValueError:
            keywords[key] = {"True": True, "False": False, "None": None}.get(value, value)
    return name, keywords


def scale_of(choice: str) -> str:
    """The scale of a potential's energies: what it is and its keyword arguments, wherever it computes."""
    name, keywords = parse_choice(choice)
    if name == CHGNET or (name == TORCHSIM and keywords.get("model", CHGNET) == CHGNET):
        return CHGNET_SCALE
    stated = (f"{key}={json.dumps(value)}" for key, value in sorted(keywords.items()) if key not in HOW)
    return ",".join([name, *stated])


def load_potential(choice: str, python: str | None = None) -> Potential:
    """The potential of a choice, ready to evaluate.

    Arguments:
        choice: A name in `POTENTIALS`, such as ``chgnet``; an ASE calculator as ``ase:emt`` or ``module:Class``; a
            force field by its short name. Keyword arguments follow behind commas.
        python: Path of the interpreter that runs it, where this environment cannot.

    Raises:
        UserError: There is no such potential or interpreter, a package is missing, or the calculator cannot be made.
    """
    name, keywords = parse_choice(choice)
    if name in POTENTIALS:
        return _registered(name, keywords, python)
    if python is not None:
        return SubprocessPotential(name, keywords, python)
    with contextlib.redirect_stdout(sys.stderr):  # some force fields greet; standard output is for results
        return CalculatorPotential(_made_here(name, keywords))


def provenance_of(choice: str, python: str | None = None) -> Provenance:
    """Scale, version and place of a choice of potential; it is made once to find out.

    Raises:
        UserError: As `load_potential`.
    """
    name, keywords = parse_choice(choice)
    scale = scale_of(choice)
    if name == TORCHSIM:
        _registered(name, keywords, python)
        model = str(keywords.get("model", CHGNET))
        versions = f"{server.version_of(model)}, torch-sim-atomistic {version('torch-sim-atomistic')}"
        return Provenance(scale, versions, HERE, CHGNET if scale == CHGNET_SCALE else "")
    if name == CHGNET:
        _refuse(name, keywords, python)
        try:
            return Provenance(scale, f"chgnet {version('chgnet')}", HERE, CHGNET)
        except PackageNotFoundError:
            raise UserError("potential chgnet", "no chgnet package", "pip install chgnet") from None
    here = f"{HERE} (Python {platform.python_version()})"
    if name in POTENTIALS:
        _registered(name, keywords, python)
        return Provenance(scale, server.version_of(POTENTIALS.get(name).__module__), here)
    work = name if name in server.FORCE_FIELDS else ""
    if python is not None:
        with SubprocessPotential(name, keywords, python) as potential:
            return Provenance(scale, potential.version, potential.place, work)
    load_potential(choice)
    return Provenance(scale, server.version_of(name), here, work)


def _made_here(name: str, keywords: server.Keywords) -> Any:
    try:
        return server.make_calculator(name, keywords)
    except server.CalculatorError as mistake:
        missing = isinstance(mistake.__cause__, ModuleNotFoundError)
        elsewhere = ", or --python with the interpreter of an environment that has it" if missing else ""
        raise UserError(f"potential {name!r}", mistake.found, mistake.expected + elsewhere) from mistake


def _registered(name: str, keywords: server.Keywords, python: str | None) -> Potential:
    """A potential of the registry; it runs in this interpreter.

    Raises:
        UserError: It does not take these keyword arguments, or another interpreter is to run it.
    """
    _refuse(name, keywords, python)
    make = POTENTIALS.get(name)
    try:
        signature(make).bind(**keywords)
    except TypeError as mistake:
        raise UserError(f"potential {name!r}", str(mistake), "its own keyword arguments") from mistake
    return make(**keywords)


def _refuse(name: str, keywords: server.Keywords, python: str | None) -> None:
    """Refuse arguments of CHGNet, which takes none, and other interpreters for what is found in this one."""
    if name == CHGNET and keywords:
        raise UserError("potential 'chgnet'", f"keyword argument {next(iter(keywords))!r}", "none")
    if python is not None:
        kind = "built in" if name in POTENTIALS.own else "a plugin"
        raise UserError("--python", f"{python} for {name}, which is {kind}", "--potential with one that runs there")
