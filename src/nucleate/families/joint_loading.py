"""Joint models read back from their folders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from nucleate.families.joint_config import AnyConfig, SamplerConfig, sampler_from
from nucleate.families.joint_model import JointModel
from nucleate.families.stored import CONFIG, load_weights, stored_config

AnyModel = TypeVar("AnyModel", bound=JointModel)


def loaded(
    model: Callable[[AnyConfig, str], AnyModel],
    config: type[AnyConfig],
    family: str,
    folder: Path,
    sampler: str,
    paper: SamplerConfig,
    guidance: float | Mapping[str, float] | None,
) -> AnyModel:
    """The model of a folder, ready to sample.

    Arguments:
        model: Makes one from configuration and name.
        config: Class of the configuration.
        family: Whose model the folder should hold.
        folder: With weights and configuration.
        sampler: See :func:`nucleate.families.joint_config.sampler_from`.
        paper: The family's published walk.
        guidance: γ of every condition, or by name, where a call says nothing; the model's own if None.

    Raises:
        UserError: Configuration or weights are missing or damaged, or do not fit each other; no such sampler.
    """
    stored = stored_config(folder, family)
    settings = config.checked(stored.get("config", {}), where=str(folder / CONFIG))
    walk = sampler_from(sampler, settings.sampler, paper)
    settings = config.checked(settings.model_dump() | {"sampler": walk.model_dump()}, where="--sampler")
    made = model(settings, str(stored.get("name", folder.name)))
    made.strengths = guidance
    load_weights(made, folder)
    return made.eval()
