"""Crystals that tests of descriptors share: known structures, and broken ones."""

import math

import numpy as np

from nucleate.crystal.crystals import Crystals

Cell = tuple[list[int], list[list[float]], list[list[float]]]


def face_centred(a: float) -> list[list[float]]:
    return (a / 2 * (1 - np.eye(3))).tolist()


ROCK_SALT: Cell = ([11, 17], [[0, 0, 0], [0.5, 0.5, 0.5]], face_centred(5.64))
COPPER: Cell = ([29], [[0, 0, 0]], face_centred(3.615))
CAESIUM_CHLORIDE: Cell = ([55, 17], [[0, 0, 0], [0.5, 0.5, 0.5]], (4.12 * np.eye(3)).tolist())
PEROVSKITE: Cell = (
    [38, 22, 8, 8, 8],
    [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]],
    (3.905 * np.eye(3)).tolist(),
)
HEXAGONAL = np.array([[1, 0, 0], [-0.5, math.sqrt(0.75), 0], [0, 0, 1]])
GRAPHITE: Cell = (
    [6, 6, 6, 6],
    [[0, 0, 0.25], [1 / 3, 2 / 3, 0.25], [0, 0, 0.75], [2 / 3, 1 / 3, 0.75]],
    (np.diag([2.461, 2.461, 6.708]) @ HEXAGONAL).tolist(),
)
SELENIUM: Cell = (
    [34, 34, 34],
    [[0.225, 0, 1 / 3], [0, 0.225, 2 / 3], [-0.225, -0.225, 0]],
    (np.diag([4.366, 4.366, 4.954]) @ HEXAGONAL).tolist(),
)
IODINE: Cell = (  # one molecule, far from the next
    [53, 53],
    [[0, 0, 0], [0.36, 0, 0]],
    np.diag([7.5, 6.5, 7.0]).tolist(),
)

BROKEN: dict[str, Cell] = {
    "not a number": ([3], [[0, 0, 0]], (np.eye(3) * math.nan).tolist()),
    "infinite coordinate": ([3], [[0, math.inf, 0]], (np.eye(3) * 3).tolist()),
    "zero volume": ([3, 8], [[0, 0, 0], [0.5, 0.5, 0.5]], np.zeros((3, 3)).tolist()),
    "flat cell": ([3], [[0, 0, 0]], np.diag([1e-5, 100, 100]).tolist()),
    "no atom": ([], [], (np.eye(3) * 3).tolist()),
}
STRANGE: dict[str, Cell] = {
    "one atom": COPPER,
    "duplicate sites": ([3, 3], [[0.1, 0.2, 0.3], [0.1, 0.2, 0.3]], (np.eye(3) * 4).tolist()),
    "noble gases": ([2, 54], [[0, 0, 0], [0.5, 0.5, 0.5]], (np.eye(3) * 5).tolist()),
    "beyond the tables": ([101], [[0, 0, 0]], (np.eye(3) * 4).tolist()),
    "two hundred atoms": (
        ([11, 17] * 100),
        np.random.default_rng(0).random((200, 3)).tolist(),
        (np.eye(3) * 17).tolist(),
    ),
}


def batch(*cells: Cell) -> Crystals:
    return Crystals.from_lists(*zip(*cells, strict=True))


def random_batch(seed: int, count: int = 20, largest: int = 8) -> Crystals:
    rng = np.random.default_rng(seed)
    cells = []
    for _ in range(count):
        n = int(rng.integers(1, largest + 1))
        lattice = np.eye(3) * rng.uniform(3, 7) + rng.normal(0, 0.7, (3, 3))
        cells.append((rng.integers(1, 84, n).tolist(), rng.random((n, 3)).tolist(), lattice.tolist()))
    return batch(*cells)


def supercell(crystals: Crystals, times: tuple[int, int, int]) -> Crystals:
    """Each crystal repeated along its vectors."""
    shifts = np.stack(np.meshgrid(*map(np.arange, times), indexing="ij"), -1).reshape(-1, 3)
    cells = []
    for i in range(len(crystals)):
        numbers, frac, lattice = (part.numpy() for part in crystals.sites(i))
        repeated = (frac[None] + shifts[:, None]).reshape(-1, 3) / np.array(times)
        cells.append((np.tile(numbers, len(shifts)).tolist(), repeated.tolist(), (np.diag(times) @ lattice).tolist()))
    return batch(*cells)
