"""DiffCrysGen: core-seconds a crystal at the paper's size and sampler, and what a trained model draws.

Run: python benchmarks/diffcrysgen.py [MODEL] [-n N] [--known STRUCTURES], where MODEL is a name or a model folder.
Without one only the speed is measured, which does not depend on the weights. The public code of the paper takes 0.62
core-seconds a crystal (one core, 199 calls of the network, crystals of a batch attending to each other).
"""

from __future__ import annotations

import argparse
import time

import torch

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.formula import reduced_formulas
from nucleate.data.dataset import load_dataset
from nucleate.descriptors.geometry import validity
from nucleate.families.diffcrysgen import SPEC
from nucleate.families.diffcrysgen.model import PAPER_SAMPLER, DiffCrysGen, SamplerConfig
from nucleate.families.registry import load_generator
from nucleate.intervals import percent_text
from nucleate.representations.ircr import IRCR
from nucleate.symmetry.space_group import space_groups
from nucleate.training.batch import TrainingBatch

PUBLIC_CODE = 0.62
"""Core-seconds a crystal."""
PAPER = {"P1": 0.514, "monoclinic or triclinic": 0.718}


def any_crystals(generator: torch.Generator) -> Crystals:
    """Cells of every size and element, for a scale; their order means nothing."""
    numbers = [torch.randint(1, 95, (3,), generator=generator).repeat(7)[:20] for _ in range(94)]
    frac = [torch.rand(20, 3, generator=generator, dtype=torch.float64) for _ in numbers]
    cells = [torch.diag(2 + 10 * torch.rand(3, generator=generator, dtype=torch.float64)) for _ in numbers]
    return Crystals.from_lists(numbers, frac, cells)


def paper_model() -> DiffCrysGen:
    """The paper's network with fresh weights."""
    torch.manual_seed(0)
    model = SPEC.build({"preset": "diffcrysgen-paper"})
    model.fit(TrainingBatch.of(any_crystals(torch.Generator().manual_seed(0))))
    return model.eval()


def core_seconds(model: DiffCrysGen, n: int, sampler: SamplerConfig) -> float:
    """Processor time for one crystal."""
    start = time.process_time()
    model.sample(n, sampler=sampler)
    return (time.process_time() - start) / n


def speed(n: int) -> None:
    """Print the table of speeds."""
    model = paper_model()
    parameters = sum(p.numel() for p in model.network.parameters())
    print(f"{parameters:,} parameters, {n} crystals, one thread, {2 * PAPER_SAMPLER.steps - 1} calls of the network")
    print(f"{'arithmetic':<12}{'core-seconds a crystal':>24}{'public code over it':>22}")
    for precision in ("float32", "bfloat16"):
        sampler = SamplerConfig(precision=precision, batch=n)
        core_seconds(model, 2, sampler.model_copy(update={"steps": 2}))  # warms up
        found = core_seconds(model, n, sampler)
        print(f"{precision:<12}{found:>24.3f}{PUBLIC_CODE / found:>22.2f}")
    few = SamplerConfig(steps=20)
    alone, together = (model.sample(8, sampler=few.model_copy(update={"batch": size})) for size in (1, 8))
    same = float((alone.n_atoms == together.n_atoms).double().mean())
    width = min(alone.numbers.shape[1], together.numbers.shape[1])
    moved = float((alone.frac[:, :width] - together.frac[:, :width]).abs().max())
    print(f"batch of 1 against 8: {same:.0%} of equal size, coordinates within {moved:.1e}")


def quality(name: str, n: int, known: str | None) -> None:
    """Print what a model draws, as it comes and with its default sampler."""
    model = load_generator(name)
    if not isinstance(model, DiffCrysGen):
        raise SystemExit(f"{name} is not a DiffCrysGen model")
    default = model.config.sampler
    raw = default.model_copy(update={"draws": 1, "symmetrize": 0.0})
    settings = {
        "paper's walk": PAPER_SAMPLER,
        "default walk, one draw": raw,
        "+ rejection": default.model_copy(update={"symmetrize": 0.0}),
        "+ symmetrisation": default,
    }
    train = load_dataset(known).crystals if known else None
    there = set() if train is None else set(reduced_formulas(train))
    print(f"\n{name}: {n} crystals each; 95 % intervals; paper: " + ", ".join(f"{k} {v:.0%}" for k, v in PAPER.items()))
    columns = ("valid", "P1", "mono/triclinic", "new formula", "draws", "core-s each")
    print(f"{'':<24}" + "".join(f"{column:>18}" for column in columns))
    for label, sampler in settings.items():
        start = time.process_time()
        crystals = model.sample(n, sampler=sampler)
        seconds = (time.process_time() - start) / n
        sound = validity(crystals).is_valid
        groups = space_groups(crystals[sound])
        fresh = sum(formula not in there for formula in reduced_formulas(crystals[sound])) if there else None
        row = [percent_text(int(sound.sum()), n), percent_text(int((groups <= 1).sum()), len(groups))]
        row.append(percent_text(int((groups <= 15).sum()), len(groups)))
        row.append("" if fresh is None else percent_text(fresh, len(groups)))
        row += [f"{float(crystals.crystal_fields['draws'].double().mean()):.2f}", f"{seconds:.3f}"]
        print(f"{label:<24}" + "".join(f"{cell:>18}" for cell in row))
    if train is not None:
        fits = train[IRCR(model.config.max_elements, model.config.max_atoms).fits(train)]
        groups = space_groups(fits)
        text = [percent_text(int((groups <= limit).sum()), len(groups)) for limit in (1, 15)]
        print(f"{'known structures':<24}{'':>18}" + "".join(f"{cell:>18}" for cell in text))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?")
    parser.add_argument("-n", type=int, default=64, help="crystals in each measurement")
    parser.add_argument("--known", help="structures to call formulas new against")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    speed(arguments.n)
    if arguments.model:
        quality(arguments.model, arguments.n, arguments.known)


if __name__ == "__main__":
    main()
