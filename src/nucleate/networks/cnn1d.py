"""One-dimensional convolutions along the rows of a matrix, and a variational auto-encoder made of them.

Shapes and order of layers follow Mal, Seal & Sen, MagGen (2023), supplement S2: the columns of the matrix are the
channels, its rows the axis that is convolved. Padding is the "SAME" of the TensorFlow code behind the paper.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.2
"""Slope of the leaky rectifiers below 0."""


@dataclass(frozen=True)
class Tower:
    """Convolutions one after the other.

    Attributes:
        channels: Filters of each; with none at all a matrix is flattened as it is.
        kernels: Their lengths.
        strides: Their steps.
    """

    channels: tuple[int, ...] = (64, 128, 256, 256)
    kernels: tuple[int, ...] = (5, 5, 5, 3)
    strides: tuple[int, ...] = (2, 2, 2, 1)

    def lengths(self, length: int) -> list[int]:
        """Rows before the first convolution and after each."""
        found = [length]
        for stride in self.strides:
            found.append(-(-found[-1] // stride))
        return found


class SameConv1d(nn.Conv1d):
    """A convolution that leaves ⌈rows / stride⌉ rows; a row of padding too many goes behind the last one."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, L) to (B, C', ⌈L / stride⌉)."""
        (stride,), (kernel,), length = self.stride, self.kernel_size, x.shape[-1]
        missing = max((-(-length // stride) - 1) * stride + kernel - length, 0)
        return super().forward(F.pad(x, (missing // 2, missing - missing // 2)))


class SameConvTranspose1d(nn.ConvTranspose1d):
    """The transpose of :class:`SameConv1d`, so it makes stride times as many rows."""

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(B, C, L) to (B, C', L · stride)."""
        (stride,), (kernel,), length = self.stride, self.kernel_size, x.shape[-1]
        first = max(kernel - stride, 0) // 2
        return super().forward(x, output_size)[..., first : first + length * stride]


class ConvolutionEncoder(nn.Module):
    """Matrices to feature vectors: convolutions, each with a leaky rectifier and then batch normalisation, flattened.

    Arguments:
        columns: Channels of the input.
        rows: Length of the input.
        tower: The convolutions.
    """

    def __init__(self, columns: int, rows: int, tower: Tower) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width, kernel, stride in zip(tower.channels, tower.kernels, tower.strides, strict=True):
            layers += [SameConv1d(columns, width, kernel, stride), nn.LeakyReLU(SLOPE), nn.BatchNorm1d(width)]
            columns = width
        self.layers = nn.Sequential(*layers)
        self.features = columns * tower.lengths(rows)[-1]

    def forward(self, matrices: Tensor) -> Tensor:
        """(B, rows, columns) to (B, features)."""
        flat: Tensor = self.layers(matrices.mT).flatten(1)
        return flat


class ConvolutionDecoder(nn.Module):
    """The mirror image of an encoder: feature vectors to matrices.

    Arguments:
        columns: Channels of the output.
        rows: Length of the output; what the strides give beyond it is cut away.
        tower: The encoder's.
    """

    def __init__(self, columns: int, rows: int, tower: Tower) -> None:
        super().__init__()
        widths = tower.channels[::-1]
        width = widths[0] if widths else columns
        self.rows, self.start = rows, (width, tower.lengths(rows)[-1])
        layers: list[nn.Module] = []
        for wanted, kernel, stride in zip(widths, tower.kernels[::-1], tower.strides[::-1], strict=True):
            layers += [nn.BatchNorm1d(width), SameConvTranspose1d(width, wanted, kernel, stride), nn.ReLU()]
            width = wanted
        if widths:
            layers.append(SameConv1d(width, columns, 3))
        self.layers = nn.Sequential(*layers)
        self.features = self.start[0] * self.start[1]

    def forward(self, features: Tensor) -> Tensor:
        """(B, features) to (B, rows, columns)."""
        out: Tensor = self.layers(features.view(-1, *self.start))
        return out[..., : self.rows].mT


class LatentEncoder(nn.Module):
    """Matrices to the mean and the logarithm of the variance of a normal distribution in the latent space.

    Arguments:
        columns, rows: Of the matrices.
        tower: The convolutions.
        dense: Width of the layer between them and the latent space.
        latent: Dimensions of the latent space.
        activation: Of the layer between; the paper's is a sigmoid.
    """

    def __init__(
        self, columns: int, rows: int, tower: Tower, dense: int, latent: int, activation: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.convolutions = ConvolutionEncoder(columns, rows, tower)
        self.dense = nn.Linear(self.convolutions.features, dense)
        self.activation = nn.Sigmoid() if activation is None else activation
        self.mean, self.log_variance = nn.Linear(dense, latent), nn.Linear(dense, latent)

    def forward(self, matrices: Tensor) -> tuple[Tensor, Tensor]:
        """(B, rows, columns) to two tensors (B, latent)."""
        hidden = self.activation(self.dense(self.convolutions(matrices)))
        return self.mean(hidden), self.log_variance(hidden)


class LatentDecoder(nn.Module):
    """Points of the latent space to matrices, without a last activation.

    Arguments:
        columns, rows, tower, dense, latent: As of :class:`LatentEncoder`.
    """

    def __init__(self, columns: int, rows: int, tower: Tower, dense: int, latent: int) -> None:
        super().__init__()
        self.convolutions = ConvolutionDecoder(columns, rows, tower)
        self.first, self.second = nn.Linear(latent, dense), nn.Linear(dense, self.convolutions.features)

    def forward(self, z: Tensor) -> Tensor:
        """(B, latent) to (B, rows, columns)."""
        out: Tensor = self.convolutions(self.second(torch.relu(self.first(z))))
        return out


def branch(width: int, hidden: Sequence[int] = (128, 32)) -> nn.Sequential:
    """A perceptron to one number, without a last activation: (B, width) to (B, 1)."""
    layers: list[nn.Module] = []
    for wanted in hidden:
        layers += [nn.Linear(width, wanted), nn.ReLU()]
        width = wanted
    return nn.Sequential(*layers, nn.Linear(width, 1))


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Kullback-Leibler divergence of N(mean, exp(log_variance)) from N(0, I), (B, D) to (B,); the paper's Eq. 4."""
    return -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(-1)
