"""Matrices of crystals brought to one range, by what the training data span."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn


class MatrixScaling(nn.Module):
    """A linear map of each row, or each entry, to a span; its numbers are stored with the weights of a model.

    Arguments:
        shape: Rows and columns of a matrix.
        span: Where the smallest and the largest value of the training data go.
        over: "row" has one scale for all columns of a row, as both papers do, so that a, b and c share theirs;
            "entry" has one for each entry.

    Attributes:
        low, high: Smallest and largest value of the training data, float64, row by row in one vector, since a model's
            folder keeps the precision of vectors alone.
    """

    low: Tensor
    high: Tensor

    def __init__(
        self, shape: tuple[int, int], span: tuple[float, float] = (-1.0, 1.0), over: Literal["row", "entry"] = "row"
    ) -> None:
        super().__init__()
        self.span, self.over = span, over
        self._size = (shape[0], 1 if over == "row" else shape[1])
        count = self._size[0] * self._size[1]
        self.register_buffer("low", torch.zeros(count, dtype=torch.float64))
        self.register_buffer("high", torch.ones(count, dtype=torch.float64))

    def fit(self, matrix: Tensor) -> None:
        """Take the scale from training matrices (B, rows, columns)."""
        axes = (0, 2) if self.over == "row" else (0,)
        self.low.copy_(matrix.amin(axes).flatten())
        self.high.copy_(matrix.amax(axes).flatten())

    def fix(self, rows: slice, low: float, high: float) -> None:
        """Give rows a range that is known, so that values that no training crystal has can still be told and read."""
        self.low.view(self._size)[rows] = low
        self.high.view(self._size)[rows] = high

    def forward(self, matrix: Tensor) -> Tensor:
        """Scaled matrices; a row without variation goes to the lower end."""
        low, high = self._ends(matrix)
        width = torch.where(high > low, high - low, 1.0)
        return self.span[0] + (matrix - low) / width * (self.span[1] - self.span[0])

    def inverse(self, scaled: Tensor) -> Tensor:
        """The matrices of scaled ones; a row without variation takes its one value, whatever is asked."""
        low, high = self._ends(scaled)
        return low + (scaled - self.span[0]) / (self.span[1] - self.span[0]) * (high - low)

    def _ends(self, like: Tensor) -> tuple[Tensor, Tensor]:
        return self.low.to(like.dtype).reshape(self._size), self.high.to(like.dtype).reshape(self._size)
