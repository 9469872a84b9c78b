"""A potential that misbehaves with some elements, in a module that worker processes can import."""

import os
import signal
import time

import numpy as np
from ase.calculators.emt import EMT


class MoodyEMT(EMT):
    """Hangs on platinum, dies on aluminium, raises on palladium; nickel has no energy and silver no forces."""

    def calculate(self, atoms=None, *arguments, **options):
        super().calculate(atoms, *arguments, **options)
        match int(atoms.numbers[0]):
            case 78:
                time.sleep(1000)
            case 13:
                os.kill(os.getpid(), signal.SIGKILL)
            case 46:
                raise RuntimeError("no palladium")
            case 28:
                self.results["energy"] = float("nan")
            case 47:
                self.results["forces"] = np.full((len(atoms), 3), np.inf)
