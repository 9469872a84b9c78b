"""Models read back from their folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from torch import nn

from nucleate.config import Settings
from nucleate.families.settings import AnySettings, sampler_from
from nucleate.networks.stored import CONFIG, load_weights, stored_config

AnyModel = TypeVar("AnyModel", bound=nn.Module)


class Sampling(Protocol):
    """A configuration with a default way to sample."""

    @property
    def sampler(self) -> Settings: ...
