"""Numbers with an address: their distribution, their independence, and that nothing but the address matters."""

import pytest
import torch
from scipy import stats

from nucleate.diffusion.noise import GeneratorNoise, KeyedNoise

INDICES = torch.arange(2000)
GOLDEN_UNIFORM = [[0.5637813615331488, 0.7372506847613944], [0.5444221244083394, 0.12473157227761372]]
GOLDEN_NORMAL = [[0.27474412790741726, -1.475772256077173], [0.6908021898572068, 0.2667534340828316]]


def keyed(seed=0, indices=INDICES, step=0, dtype=torch.float64):
    return KeyedNoise(seed, indices, step, dtype)


@pytest.mark.parametrize("seed", [0, 1, 2**62 + 5])
def test_uniform_and_normal_have_their_distributions(seed):
    noise = keyed(seed)
    uniform, normal = noise.uniform("a", (2000, 5, 3)).flatten(), noise.normal("a", (2000, 5, 3)).flatten()
    assert stats.kstest(uniform, "uniform").pvalue > 1e-3
    assert stats.kstest(normal, "norm").pvalue > 1e-3
    assert float(uniform.min()) > 0
    assert float(uniform.max()) < 1


def test_neighbouring_addresses_are_independent():
    base = keyed().normal("a", (2000, 4, 3))
    others = {
        "crystal": base.roll(1, 0),
        "site": base.roll(1, 1),
        "axis": base.roll(1, 2),
        "seed": keyed(1).normal("a", (2000, 4, 3)),
        "step": keyed(step=1).normal("a", (2000, 4, 3)),
        "stream": keyed().normal("b", (2000, 4, 3)),
    }
    bound = 4.5 / base.numel() ** 0.5
    for name, other in others.items():
        assert abs(float((base * other).mean())) < bound, name
        assert abs(float((base.square() * other.square()).mean() - 1)) < 3 * bound, name
    assert all(not torch.equal(base, other) for other in others.values())


def test_seed_and_step_do_not_trade_places():
    seen = {float(keyed(seed, torch.tensor([i]), step).uniform("a", (1,))[0])
            for seed in range(6) for step in range(6) for i in range(6)}  # fmt: skip
    assert len(seen) == 216


def test_numbers_do_not_depend_on_batch_padding_or_order():
    noise = keyed()
    whole = noise.normal("a", (2000, 7, 3))
    rows = torch.tensor([1500, 3, 42])
    assert torch.equal(keyed(indices=rows).normal("a", (3, 7, 3)), whole[rows])
    assert torch.equal(keyed(indices=rows).normal("a", (3, 4, 3)), whole[rows, :4])
    assert torch.equal(keyed(indices=rows).uniform("a", (3, 4)), noise.uniform("a", (2000, 9))[rows, :4])


def test_precisions_round_one_number():
    single = keyed(dtype=torch.float32).normal("a", (2000, 3))
    assert torch.equal(single, keyed().normal("a", (2000, 3)).float())


def test_single_precision_never_reaches_one():
    class Extreme(KeyedNoise):
        def _bits(self, stream, shape):
            return torch.full(shape, -1, dtype=torch.int64)

    assert float(Extreme(0, INDICES).uniform("a", (5,)).max()) < 1


def test_numbers_are_the_same_in_every_release():
    noise = KeyedNoise(7, torch.tensor([0, 5]), 3, torch.float64)
    golden_uniform = torch.tensor(GOLDEN_UNIFORM, dtype=torch.float64)
    golden_normal = torch.tensor(GOLDEN_NORMAL, dtype=torch.float64)
    assert torch.equal(noise.uniform("coordinates/prior", (2, 2)), golden_uniform)
    torch.testing.assert_close(noise.normal("coordinates/step", (2, 2)), golden_normal, rtol=1e-14, atol=1e-14)


def test_generator_noise_repeats_with_its_generator_and_is_fresh_in_every_call():
    first, second = (GeneratorNoise(torch.Generator().manual_seed(4)) for _ in range(2))
    a, b = first.normal("a", (100,)), first.normal("a", (100,))
    assert not torch.equal(a, b)
    assert torch.equal(a, second.normal("b", (100,)))
    assert first.device == torch.device("cpu")
