"""Calculators that misbehave, in a module that worker processes can import."""

from __future__ import annotations

import os
import signal
import time

import numpy as np
from ase.calculators.calculator import Calculator
from ase.calculators.lj import LennardJones

ARGON = {"sigma": 3.4, "epsilon": 0.1, "rc": 8.0, "smooth": True}


class Argon(LennardJones):
    """A crystal of argon, but with strong bonds."""

    def __init__(self) -> None:
        super().__init__(**ARGON)


class Moody(Argon):
    """Argon that misbehaves with other elements."""

    def calculate(self, atoms=None, properties=None, system_changes=None) -> None:  # type: ignore[no-untyped-def]
        super().calculate(atoms, properties, system_changes)
        match int(atoms.numbers[0]):
            case 2:
                time.sleep(1000)
            case 10:
                os.kill(os.getpid(), signal.SIGKILL)
            case 36:
                self.results["energy"] = float("nan")
            case 54:
                raise RuntimeError("no xenon")


class Gas(Calculator):
    """A potential that only pushes outwards."""

    implemented_properties = ["energy", "forces", "stress"]  # noqa: RUF012

    def calculate(self, atoms=None, properties=None, system_changes=None) -> None:  # type: ignore[no-untyped-def]
        super().calculate(atoms, properties, system_changes)
        volume = atoms.get_volume()
        self.results = {
            "energy": -volume,
            "forces": np.zeros((len(atoms), 3)),
            "stress": -np.array([1.0] * 3 + [0] * 3),
        }
