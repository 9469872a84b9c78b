"""Calculators that misbehave, in a module that worker processes can import."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

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


class Noisy(Argon):
    """Argon that talks on every channel and listens on standard input."""

    def __init__(self) -> None:
        super().__init__()
        print("downloading the model")  # noqa: T201
        os.write(1, b'{"protocol": 1, "energy": 0.0}\n')
        sys.stdin.read()

    def calculate(self, atoms=None, properties=None, system_changes=None) -> None:  # type: ignore[no-untyped-def]
        super().calculate(atoms, properties, system_changes)
        print(5 * '{"energy": 1e9}\n', flush=True)  # noqa: T201
        os.write(1, b"step 1: converged\n" + bytes(range(256)))
        subprocess.run(["echo", "from a program of its own"], check=True)
        os.write(2, 100_000 * b"warning ")


class Diarist(Moody):
    """Moody, and writes down which process it lives in."""

    def __init__(self) -> None:
        super().__init__()
        with Path(os.environ["DIARY"]).open("a") as diary:
            diary.write(f"{os.getpid()}\n")


class Flat(Calculator):
    """A calculator for molecules."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012


def scaled(epsilon: float, note: str = "") -> LennardJones:
    """A factory with keyword arguments."""
    return LennardJones(**{**ARGON, "epsilon": epsilon})


def refuses() -> LennardJones:
    raise FileNotFoundError("no such model:\nmodel.pth")


class Quitter(Argon):
    """Ends its process without a word of Python."""

    def calculate(self, atoms=None, properties=None, system_changes=None) -> None:  # type: ignore[no-untyped-def]
        os.write(2, b"Segmentation fault in the model\n")
        os._exit(7)


class Nowhere(Argon):
    """Finite energies, forces that are not."""

    def calculate(self, atoms=None, properties=None, system_changes=None) -> None:  # type: ignore[no-untyped-def]
        super().calculate(atoms, properties, system_changes)
        self.results["forces"] = np.full((len(atoms), 3), np.nan)
