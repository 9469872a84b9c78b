"""What a call costs more when the potential runs in another interpreter, and what starting it costs.

    python benchmarks/other_interpreter.py [PYTHON]

EMT of copper; PYTHON is an interpreter with numpy and ASE, this one by default.
"""

import sys
import time

import numpy as np

from nucleate.crystal.crystals import Crystals
from nucleate.potentials.potential import Potential
from nucleate.potentials.registry import load_potential

REPEATS = 60


def milliseconds(potential: Potential, crystals: Crystals) -> float:
    """Median time of an evaluation; the crystal moves each time, so that nothing is remembered."""
    times = []
    for _ in range(REPEATS):
        crystals.frac[0, 0, 0] += 1e-5
        began = time.perf_counter()
        potential.evaluate(crystals)
        times.append(time.perf_counter() - began)
    return 1e3 * float(np.median(times))


def main() -> None:
    python = sys.argv[1] if len(sys.argv) > 1 else sys.executable
    here = load_potential("ase:emt")
    began = time.perf_counter()
    there = load_potential("ase:emt", python)
    print(f"started in {time.perf_counter() - began:.2f} s")
    for n in (1, 4, 32, 108):
        frac = np.random.default_rng(0).random((n, 3))
        crystals = Crystals.from_lists([[29] * n], [frac], [(11.8 * n) ** (1 / 3) * np.eye(3)])
        one, other = milliseconds(here, crystals), milliseconds(there, crystals)
        print(f"{n:4d} atoms: {one:6.2f} ms here, {other:6.2f} ms there, {other - one:5.2f} ms more")


if __name__ == "__main__":
    main()
