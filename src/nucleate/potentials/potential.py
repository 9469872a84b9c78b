"""What every potential offers, and how one is found by its name.

A choice of potential is one string: a name, and keyword arguments behind commas, such as ``chgnet``, ``ase:emt``,
``mace,model=medium`` or ``package.module:factory,cutoff=6``. Values are JSON where they can be read as such, else text.
"""

from __future__ import annotations

import contextlib
import json
import platform
import re
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from nucleate.crystal.crystals import Crystals
from nucleate.errors import UserError
from nucleate.potentials import calculator_server as server

CHGNET = "chgnet"
CHGNET_SCALE = "CHGNet 0.3.0"
HERE = "in this environment"
_NEXT_KEYWORD = re.compile(r",(?=[A-Za-z_]\w*=)")


class CalculatorFaultError(RuntimeError):
    """A calculator gave no answer for a crystal; the message says why."""


@dataclass(frozen=True)
class Evaluation:
    """What a potential says about a batch of B crystals of at most N sites; padded sites hold 0.

    Attributes:
        energy: Total energies in eV, shape (B,).
        forces: Forces in eV/Å, shape (B, N, 3).
        stress: Cauchy stresses in eV/Å³, positive under tension, shape (B, 3, 3).
        magmoms: Sizes of the magnetic moments in µB, shape (B, N); NaN where the potential knows none.
    """

    energy: Tensor
    forces: Tensor
    stress: Tensor
    magmoms: Tensor


class Potential(Protocol):
    """A source of energies and their derivatives.

    Attributes:
        outside_seconds: Processor time that evaluations have taken in other processes.
    """

    outside_seconds: float

    def evaluate(self, crystals: Crystals) -> Evaluation:
        """Energies, forces, stresses and moments of a batch.

        Raises:
            UserError: An element is unknown to the potential.
        """
        ...


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


def parse_choice(text: str) -> tuple[str, dict[str, Any]]:
    """Name and keyword arguments of a choice.

    Raises:
        UserError: There is no name, or something behind a comma is no keyword argument.
    """
    name, *rest = _NEXT_KEYWORD.split(text.strip())
    if not name or "," in name or "=" in name:
        raise UserError("potential", repr(text), "a name, and keyword arguments as in 'ase:lj,sigma=3.4,rc=8.0'")
    keywords: dict[str, Any] = {}
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
    if name == CHGNET:
        return CHGNET_SCALE
    told = (f"{key}={json.dumps(value)}" for key, value in sorted(keywords.items()) if key != "device")
    return ",".join([name, *told])


def load_potential(choice: str, python: str | None = None) -> Potential:
    """The potential of a choice, ready to evaluate.

    Arguments:
        choice: ``chgnet``; an ASE calculator as ``ase:emt`` or ``module:Class``; a force field by its short name.
        python: Path of the interpreter that runs it, where this environment cannot.

    Raises:
        UserError: There is no such potential or interpreter, a package is missing, or the calculator cannot be made.
    """
    name, keywords = parse_choice(choice)
    if name == CHGNET:
        from nucleate.potentials.chgnet import CHGNetPotential

        _refuse_for_chgnet(keywords, python)
        return CHGNetPotential()
    if python is not None:
        from nucleate.potentials.subprocess_potential import InterpreterPotential

        return InterpreterPotential(name, keywords, python)
    with contextlib.redirect_stdout(sys.stderr):  # some force fields greet; standard output is for results
        return CalculatorPotential(_made_here(name, keywords))


def provenance_of(choice: str, python: str | None = None) -> Provenance:
    """What the potential of a choice is and where it runs; it is made once to find out.

    Raises:
        UserError: As `load_potential`.
    """
    name, keywords = parse_choice(choice)
    scale = scale_of(choice)
    if name == CHGNET:
        _refuse_for_chgnet(keywords, python)
        try:
            return Provenance(scale, f"chgnet {version('chgnet')}", HERE, CHGNET)
        except PackageNotFoundError:
            raise UserError("potential chgnet", "no chgnet package", "pip install chgnet") from None
    work = name if name in server.FORCE_FIELDS else ""
    if python is not None:
        from nucleate.potentials.subprocess_potential import InterpreterPotential

        with InterpreterPotential(name, keywords, python) as potential:
            return Provenance(scale, potential.version, potential.place, work)
    load_potential(choice)
    return Provenance(scale, server.version_of(name), f"{HERE} (Python {platform.python_version()})", work)


class CalculatorPotential:
    """Any ASE calculator as a potential; its crystals are evaluated one by one.

    Arguments:
        calculator: An ASE calculator with energies, forces and stresses.
    """

    outside_seconds = 0.0

    def __init__(self, calculator: Any) -> None:
        self.calculator = calculator

    def evaluate(self, crystals: Crystals) -> Evaluation:
        """See `Potential.evaluate`.

        Raises:
            CalculatorFaultError: The calculator raised.
        """
        found = []
        for i in range(len(crystals)):
            numbers, frac, lattice = (part.cpu().numpy() for part in crystals.sites(i))
            try:
                found.append(server.evaluate(self.calculator, numbers, frac, lattice))
            except Exception as fault:
                raise CalculatorFaultError(server.in_words(fault)) from fault
        return gathered(crystals, found)


def gathered(crystals: Crystals, found: list[dict[str, Any]]) -> Evaluation:
    """One evaluation from those of single crystals, as `calculator_server.evaluate` gives them."""
    b, n_max = crystals.numbers.shape
    energy, forces = np.zeros(b), np.zeros((b, n_max, 3))
    stress, magmoms = np.zeros((b, 3, 3)), np.zeros((b, n_max))
    for i, (n, one) in enumerate(zip(crystals.n_atoms.tolist(), found, strict=True)):
        energy[i], forces[i, :n], stress[i] = one["energy"], one["forces"], one["stress"]
        magmoms[i, :n] = np.nan if one["magmoms"] is None else one["magmoms"]
    return Evaluation(*(torch.from_numpy(part) for part in (energy, forces, stress, magmoms)))


def _made_here(name: str, keywords: dict[str, Any]) -> Any:
    try:
        return server.make_calculator(name, keywords)
    except server.CalculatorError as mistake:
        missing = isinstance(mistake.__cause__, ModuleNotFoundError)
        elsewhere = ", or --python with the interpreter of an environment that has it" if missing else ""
        raise UserError(f"potential {name!r}", mistake.found, mistake.expected + elsewhere) from mistake


def _refuse_for_chgnet(keywords: dict[str, Any], python: str | None) -> None:
    """CHGNet is built in: it takes no arguments and runs in this interpreter."""
    if keywords:
        raise UserError("potential 'chgnet'", f"keyword argument {next(iter(keywords))!r}", "none")
    if python is not None:
        raise UserError("--python", f"{python} for chgnet, which is built in", "--potential with one that runs there")
