"""Random numbers addressed by (seed, crystal, step, stream), the same in every batch and on every device.

A counter-based generator: each number is a hash of its address, so crystal i of a request gets the same noise
whatever its batch mates, its padding or the order of the chunks. The hash is the output function of
SplitMix64 (Steele, Lea & Flood, Fast splittable pseudorandom number generators, 2014), applied twice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor


class Noise(Protocol):
    """A source of noise for a batch: the first axis of every shape is the crystals'."""

    @property
    def device(self) -> torch.device:
        """Where the numbers are."""

    def normal(self, stream: str, shape: tuple[int, ...]) -> Tensor:
        """Standard normal numbers of a shape (B, ...)."""

    def uniform(self, stream: str, shape: tuple[int, ...]) -> Tensor:
        """Uniform numbers below 1, of a shape (B, ...)."""


def _signed(value: int) -> int:
    """The int64 with the bits of a 64-bit word."""
    value &= (1 << 64) - 1
    return value - (1 << 64) if value >> 63 else value


_GOLDEN = _signed(0x9E3779B97F4A7C15)
_MIX_1 = _signed(0xBF58476D1CE4E5B9)
_MIX_2 = _signed(0x94D049BB133111EB)


def _shift(x: Tensor, bits: int) -> Tensor:
    """Logical right shift of int64."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _mix(x: Tensor) -> Tensor:
    x = (x ^ _shift(x, 30)) * _MIX_1
    x = (x ^ _shift(x, 27)) * _MIX_2
    return x ^ _shift(x, 31)


def _word(text: str) -> int:
    """A 64-bit word of a stream's name (FNV-1a), the same in every process."""
    word = 0xCBF29CE484222325
    for byte in text.encode():
        word = ((word ^ byte) * 0x100000001B3) & ((1 << 64) - 1)
    return _signed(word)


@dataclass(frozen=True)
class KeyedNoise:
    """Noise of crystals ``indices`` of the request with ``seed``, at one step of sampling.

    Attributes:
        seed: Seed of the request.
        indices: Numbers of the crystals in the request, shape (B,), int64.
        step: Step of sampling; every step has numbers of its own.
        dtype: Precision of the numbers; they are drawn in float64 and then rounded.
        draw: Counts draws of the same crystals, for a sampler that draws some of them again.
    """

    seed: int
    indices: Tensor
    step: int = 0
    dtype: torch.dtype = torch.float32
    draw: int = 0
    _addresses: dict[tuple[str, tuple[int, ...]], Tensor] = field(default_factory=dict, repr=False, compare=False)

    @property
    def device(self) -> torch.device:
        """Where the numbers are: with the indices."""
        return self.indices.device

    def at(self, step: int) -> KeyedNoise:
        """The same crystals at another step."""
        return KeyedNoise(self.seed, self.indices, step, self.dtype, self.draw, self._addresses)

    def uniform(self, stream: str, shape: tuple[int, ...]) -> Tensor:
        """Uniform numbers in (0, 1) of a shape (B, ...); element [b, i, ...] does not depend on the shape's padding."""
        numbers = (_shift(self._bits(stream, shape), 11).to(torch.float64) + 0.5) * 2.0**-53
        # Rounding could reach 1, at which a masked site would stay masked and a forbidden species be drawn.
        return numbers.to(self.dtype).clamp_max(1 - torch.finfo(self.dtype).eps / 2)

    def normal(self, stream: str, shape: tuple[int, ...]) -> Tensor:
        """Standard normal numbers by Box and Muller's transformation, of a shape (B, ...); none is beyond 6.8."""
        bits = self._bits(stream, shape)
        first = (_shift(bits, 32).to(torch.float64) + 0.5) * 2.0**-32
        second = (bits & 0xFFFFFFFF).to(torch.float64) * 2.0**-32
        return (torch.sqrt(-2.0 * torch.log(first)) * torch.cos(2 * math.pi * second)).to(self.dtype)

    def _bits(self, stream: str, shape: tuple[int, ...]) -> Tensor:
        """64 random bits at each address."""
        if (stream, shape) not in self._addresses:  # sampling asks for the same addresses at every step
            self._addresses[stream, shape] = self._address(stream, shape)
        return _mix(_mix(self._addresses[stream, shape] + _signed(self.step * _GOLDEN)))

    def _address(self, stream: str, shape: tuple[int, ...]) -> Tensor:
        start = torch.tensor(_signed(self.seed * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019), device=self.device)
        stream_word = _word(f"{stream}/{self.draw}" if self.draw else stream)
        key = _mix(_mix(start ^ stream_word) + self.indices * _GOLDEN)
        word = key.reshape(-1, *([1] * (len(shape) - 1)))
        for axis in range(1, len(shape)):  # hash the position one axis at a time, so that padding changes nothing
            counter = torch.arange(1, shape[axis] + 1, device=self.device)
            counter = counter.reshape([-1 if a == axis else 1 for a in range(len(shape))])
            word = _mix(word + counter * _GOLDEN)
        return _mix(word).expand(shape)


@dataclass(frozen=True)
class GeneratorNoise:
    """Noise from one sequential generator, for training; every call gives fresh numbers."""

    generator: torch.Generator
    dtype: torch.dtype = torch.float32
    _addresses: dict[tuple[str, tuple[int, ...]], Tensor] = field(default_factory=dict, repr=False, compare=False)

    @property
    def device(self) -> torch.device:
        """Where the numbers are: with the generator."""
        return self.generator.device

    def uniform(self, stream: str, shape: tuple[int, ...]) -> Tensor:  # noqa: ARG002
        """Uniform numbers in [0, 1), of a shape (B, ...)."""
        return torch.rand(shape, generator=self.generator, device=self.generator.device, dtype=self.dtype)

    def normal(self, stream: str, shape: tuple[int, ...]) -> Tensor:  # noqa: ARG002
        """Standard normal numbers of a shape (B, ...)."""
        return torch.randn(shape, generator=self.generator, device=self.generator.device, dtype=self.dtype)
