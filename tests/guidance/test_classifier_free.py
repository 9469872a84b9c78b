"""Guidance against its formula, with a denoiser whose answers are known."""

import pytest
import torch

from nucleate.conditions.labels import Labels
from nucleate.diffusion.joint import Prediction, State
from nucleate.guidance.classifier_free import Guided

SIZE = 4
STATE = State(
    torch.ones(SIZE, 2, dtype=torch.int64),
    torch.rand(SIZE, 2, 3),
    torch.rand(SIZE, 6),
    torch.ones(SIZE, 2, dtype=torch.bool),
)
T = torch.full((SIZE,), 0.5)


def labels(*names):
    values = {name: torch.arange(SIZE) + float(i + 1) for i, name in enumerate("abc")}
    return Labels(values, {name: torch.full((SIZE,), name in names) for name in "abc"})


class Known:
    """Answers with a nonlinear function of the labels it is told; counts its calls."""

    def __init__(self):
        self.calls = 0

    def of(self, state, told):
        a, b, c = (told.values[name] * told.mask[name] for name in "abc")
        strength = (1 + a + 2 * b + a * b + torch.sin(c))[:, None, None]
        return Prediction(strength * torch.ones(len(a), 2, 5), strength * state.frac, strength[:, 0] * state.cell)

    def __call__(self, state, t, told):
        self.calls += 1
        assert len(t) == len(state.frac) == len(told.mask["a"])
        return self.of(state, told)


def close(found, expected):
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def combined(parts):
    return Prediction(*(sum(w * getattr(answer, name) for w, answer in parts) for name in Prediction._fields))


def test_strength_one_is_the_conditional_model_and_zero_the_unconditional_one():
    known = Known()
    asked = labels("a", "b")
    close(Guided(known, asked, {"a": 1.0, "b": 1.0})(STATE, T), known.of(STATE, asked))
    close(Guided(known, asked, {"a": 0.0, "b": 0.0})(STATE, T), known.of(STATE, labels()))
    close(Guided(known, labels(), {})(STATE, T), known.of(STATE, labels()))


@pytest.mark.parametrize("strength", [0.5, 2.0, 3.5])
def test_one_strength_for_all_is_the_published_formula(strength):
    known, asked = Known(), labels("a", "b", "c")
    found = Guided(known, asked, dict.fromkeys("abc", strength))(STATE, T)
    g = strength - 1  # the other convention: (1 + g) conditional - g unconditional
    close(found, combined([(1 + g, known.of(STATE, asked)), (-g, known.of(STATE, labels()))]))
    assert known.calls == 1


def test_conditions_of_their_own_strength_enter_one_after_the_other():
    known, asked = Known(), labels("a", "b")
    found = Guided(known, asked, {"a": 2.0, "b": 3.0})(STATE, T)
    none, first, both = (known.of(STATE, part) for part in (labels(), labels("a"), asked))
    close(found, combined([(-1.0, none), (-1.0, first), (3.0, both)]))


def test_a_crystal_is_guided_the_same_alone():
    known, asked = Known(), labels("a", "b")
    whole = Guided(known, asked, {"a": 2.0, "b": 1.5})(STATE, T)
    one = Labels({k: v[2:3] for k, v in asked.values.items()}, {k: v[2:3] for k, v in asked.mask.items()})
    part = Guided(known, one, {"a": 2.0, "b": 1.5})(State(*(v[2:3] for v in STATE)), T[2:3])
    close(part, Prediction(*(v[2:3] for v in whole)))
