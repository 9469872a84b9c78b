"""Models read back from their folders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from torch import nn

from nucleate.config import AnySettings, Settings
from nucleate.families.samplers import sampler_from
from nucleate.networks.stored import CONFIG, load_weights, stored_config

AnyModel = TypeVar("AnyModel", bound=nn.Module)


def loaded(
    model: Callable[[AnySettings, str], AnyModel],
    config: type[AnySettings],
    family: str,
    folder: Path,
    sampler: str,
    paper: Settings,
) -> AnyModel:
    """The model of a folder, ready to sample.

    Arguments:
        model: Makes one from configuration and name.
        config: Class of the configuration, whose ``sampler`` is the default.
        family: Whose model the folder should hold.
        folder: With weights and configuration.
        sampler: See :func:`nucleate.families.samplers.sampler_from`.
        paper: The family's published sampler.

    Raises:
        UserError: Configuration or weights are missing or damaged, or do not fit each other; no such sampler.
    """
    stored = stored_config(folder, family)
    values = config.checked(stored.get("config", {}), where=str(folder / CONFIG)).model_dump()
    how = sampler_from(sampler, type(paper).checked(values["sampler"]), paper)
    settings = config.checked(values | {"sampler": how.model_dump()}, where="--sampler")
    made = model(settings, str(stored.get("name", folder.name)))
    load_weights(made, folder)
    return made.eval()
