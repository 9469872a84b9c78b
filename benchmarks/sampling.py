"""Core-seconds per crystal of a model at its default sampler, by number of atoms.

Run: python benchmarks/sampling.py [MODEL ...] [-n N], where MODEL is a name or a model folder; without one, all
models that ship with the package.
"""

from __future__ import annotations

import argparse
import time

import torch

from nucleate.conditions.request import Conditions
from nucleate.families.registry import load_generator, shipped_models

SIZES = ("4", "10", "20")


def core_seconds(model: object, n: int, where: Conditions) -> float:
    """Processor time for one crystal."""
    start = time.process_time()
    model.sample(n, where)
    return (time.process_time() - start) / n


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*")
    parser.add_argument("-n", type=int, default=64, help="crystals in each measurement")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    names = arguments.models or [entry.name for entry in shipped_models()]
    if not names:
        print("no model to measure: name one, or a model folder")
    for name in names:
        model = load_generator(name)
        requests = {f"{size} atoms": Conditions.parse([f"n_atoms={size}"]) for size in SIZES}
        requests["as the data"] = Conditions()
        core_seconds(model, 2, requests["4 atoms"])  # warms up
        print(f"{name}: {arguments.n} crystals, one thread, {getattr(model, 'config').sampler}")  # noqa: B009
        print(f"{'request':<14}{'core-seconds a crystal':>24}")
        for request, where in requests.items():
            print(f"{request:<14}{core_seconds(model, arguments.n, where):>24.3f}")


if __name__ == "__main__":
    main()
