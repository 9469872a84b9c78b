"""A one-dimensional U-Net for the rows of a crystal's matrix, conditioned on a noise level and labels.

The shape of DiffCrysGen's public network (Mal, Mishra & Sen, 2025; 1.322 M parameters): three levels of residual
blocks with weight-standardised convolutions, attention on both sides of the bottleneck. There the attention took
the batch for its sequence, so that crystals saw their batch mates; here every crystal is alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from nucleate.configuration import Settings


class UNet1dConfig(Settings):
    """Shape of the network; the defaults are the paper's.

    Attributes:
        channels: Of input and output: the columns of the matrix.
        length: Rows of the matrix.
        widths: Channels of each level, outermost first; each level halves the rows.
        noise_features: Width of the embedding of the noise level, to which conditions are added.
        attention: What attends to each other: "channels", each with its rows as features (the published layer),
            or "rows", each with its channels as features.
    """

    channels: int = Field(default=3, ge=1)
    length: int = Field(default=136, ge=8)
    widths: tuple[int, ...] = Field(default=(32, 64, 128), min_length=2)
    noise_features: int = Field(default=256, ge=2, multiple_of=2)
    attention: Literal["channels", "rows"] = "channels"


class UNet1d(nn.Module):
    """See :class:`UNet1dConfig`; every row of a batch is answered for by itself."""

    def __init__(self, config: UNet1dConfig) -> None:
        super().__init__()
        self.config = config
        widths, features = config.widths, config.noise_features
        inner = widths[-1]
        self.unit = 2 ** len(widths)
        rows = -(-config.length // self.unit)  # at the bottleneck
        self.embed = NoiseLevelEmbedding(features)
        self.down = nn.ModuleList(
            _Level((before, *[width] * 3), features)
            for before, width in zip((config.channels, *widths), widths, strict=False)
        )
        self.fold = nn.ModuleList(nn.Conv2d(width, width, (1, 4), stride=(1, 2), padding=(0, 1)) for width in widths)
        self.bottleneck = _Level((inner, inner // 2, inner // 2, inner), features)
        self.attend = nn.ModuleList(_Attention(config.attention, inner, rows) for _ in range(2))
        self.unfold, self.up = nn.ModuleList(), nn.ModuleList()
        below = inner
        for i in range(len(widths) - 1, -1, -1):
            last = widths[max(i - 1, 0)]
            self.unfold.append(nn.ConvTranspose2d(below, widths[i], (1, 4), stride=(1, 2), padding=(0, 1)))
            self.up.append(_Level((2 * widths[i], widths[i], last, last), features))
            below = last
        self.out = nn.Conv2d(below, config.channels, (1, 3), padding=(0, 1))
        # Processors convolve faster with the channels innermost, a layout that images of height 1 have and signals not.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def blocks(self) -> int:
        """Number of levels, each of which gets noise and conditions."""
        return 2 * len(self.config.widths) + 1

    def forward(
        self,
        x: Tensor,
        level: Tensor,
        condition: Tensor | None = None,
        mix: Callable[[int, Tensor], Tensor] | None = None,
    ) -> Tensor:
        """The network's prediction, of the shape of ``x``.

        Arguments:
            x: Matrices with the columns as channels, shape (B, channels, length).
            level: The scalar that stands for the noise, shape (B,).
            condition: Added to its embedding, shape (B, noise_features).
            mix: From the number of a level and that sum as (B, 1, noise_features) to what the level gets besides.
        """
        heard = self.embed(level)
        if condition is not None:
            heard = heard + condition

        def conditioning(number: int) -> Tensor:
            return heard if mix is None else heard + mix(number, heard[:, None])[:, 0]

        half = len(self.down)
        length = x.shape[-1]
        h = F.pad(x, (0, -length % self.unit))[:, :, None].contiguous(memory_format=torch.channels_last)
        skipped = []
        for number, (level_blocks, fold) in enumerate(zip(self.down, self.fold, strict=True)):
            h = level_blocks(h, conditioning(number))
            skipped.append(h)
            h = fold(h)
        h = self.attend[1](self.bottleneck(self.attend[0](h), conditioning(half)))
        for number, (unfold, level_blocks) in enumerate(zip(self.unfold, self.up, strict=True), half + 1):
            h = level_blocks(torch.cat([unfold(h), skipped.pop()], 1), conditioning(number))
        prediction: Tensor = self.out(h)[:, :, 0]
        return prediction[..., :length]

    @contextmanager
    def standardised(self) -> Iterator[None]:
        """Standardise the kernels once for all calls inside, as samplers want; weights must not change there."""
        convolutions = [module for module in self.modules() if isinstance(module, _StandardisedConv)]
        for module in convolutions:
            module.kept = module.kernel()
        try:
            yield
        finally:
            for module in convolutions:
                module.kept = None


class NoiseLevelEmbedding(nn.Module):
    """Sines and cosines in turn, at frequencies from 1 down to about 1e-4, of a scalar."""

    frequencies: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        steps = torch.arange(width // 2, dtype=torch.float64) / (width // 2)
        self.register_buffer("frequencies", (1e4**-steps).float(), persistent=False)

    def forward(self, level: Tensor) -> Tensor:
        """Features (B, width) of levels (B,)."""
        angle = level[:, None] * self.frequencies.to(level.dtype)
        return torch.stack([angle.sin(), angle.cos()], -1).flatten(1)


class _Level(nn.Module):
    """Residual blocks in a row, after a bias that depends on the noise."""

    def __init__(self, widths: tuple[int, ...], features: int) -> None:
        super().__init__()
        first = widths[0]
        self.tell = nn.Sequential(nn.Linear(features, first), nn.SiLU(), nn.Linear(first, first))
        self.blocks = nn.ModuleList(_Residual(a, b) for a, b in pairwise(widths))

    def forward(self, h: Tensor, features: Tensor) -> Tensor:
        h = h + self.tell(features)[..., None, None]
        for block in self.blocks:
            h = block(h)
        return h


class _Residual(nn.Module):
    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first, self.second = _StandardisedConv(before, after), _StandardisedConv(after, after)
        self.norms = nn.ModuleList(nn.GroupNorm(1, after) for _ in range(2))
        self.shortcut = nn.Identity() if before == after else nn.Conv2d(before, after, 1)

    def forward(self, h: Tensor) -> Tensor:
        inner = F.silu(self.norms[0](self.first(h)))
        found: Tensor = F.silu(self.norms[1](self.second(inner)) + self.shortcut(h))
        return found


class _StandardisedConv(nn.Conv2d):
    """Convolution of width 3 with kernels of mean 0 and variance 1 (Qiao et al., Weight standardization, 2019)."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(before, after, (1, 3), padding=(0, 1))

        self.kept: Tensor | None = None

    def kernel(self) -> Tensor:
        """The kernels with which to convolve."""
        variance, mean = torch.var_mean(self.weight, dim=(1, 2, 3), keepdim=True, correction=0)
        return (self.weight - mean) * (variance + 1e-5).rsqrt()

    def forward(self, h: Tensor) -> Tensor:
        return F.conv2d(h, self.kernel() if self.kept is None else self.kept, self.bias, padding=(0, 1))


class _Attention(nn.Module):
    """Self-attention and a small network, each with a normalisation after it."""

    def __init__(self, over: Literal["channels", "rows"], channels: int, rows: int) -> None:
        super().__init__()
        width = rows if over == "channels" else channels
        self.over = over
        self.attend = nn.MultiheadAttention(width, 1 if over == "channels" else 4, batch_first=True)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.inner = nn.Sequential(nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width))

    def forward(self, h: Tensor) -> Tensor:
        h = h[:, :, 0]
        tokens = h if self.over == "channels" else h.mT
        seen, _ = self.attend(tokens, tokens, tokens, need_weights=False)
        tokens = self.norms[0](tokens + seen)
        tokens = self.norms[1](tokens + self.inner(tokens))
        return (tokens if self.over == "channels" else tokens.mT)[:, :, None]
