"""DiffCSP (Jiao et al., NeurIPS 2023): joint diffusion of species, coordinates and cell on CSPNet."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nucleate.errors import UserError
from nucleate.families.diffcsp.config import DiffCSPConfig, sampler_from
from nucleate.families.diffcsp.model import DiffCSP
from nucleate.families.stored import CONFIG, load_weights, stored_config

FAMILY = "diffcsp"
PRESETS = {"small": DiffCSPConfig, "paper": DiffCSPConfig.paper}
SETTINGS = ("preset", *DiffCSPConfig.model_fields)
"""Names that :func:`build` takes; ``sampler.steps`` and the like reach inside a setting."""


def load(folder: Path, sampler: str = "default") -> DiffCSP:
    """The model of a folder, ready to sample.

    Arguments:
        folder: With weights and configuration.
        sampler: See :func:`~nucleate.families.diffcsp.config.sampler_from`.

    Raises:
        UserError: Configuration or weights are missing or damaged, or do not fit each other; no such sampler.
    """
    stored = stored_config(folder, FAMILY)
    config = DiffCSPConfig.checked(stored.get("config", {}), where=str(folder / CONFIG))
    walk = sampler_from(sampler, config.sampler)
    config = DiffCSPConfig.checked(config.model_dump() | {"sampler": walk.model_dump()}, where="--sampler")
    model = DiffCSP(config, str(stored.get("name", folder.name)))
    load_weights(model, folder)
    return model.eval()


def build(overrides: Mapping[str, object] | None = None, name: str = FAMILY) -> DiffCSP:
    """A model with fresh weights.

    Arguments:
        overrides: Values for fields of :class:`DiffCSPConfig`, on top of ``preset``: "small" (the default) or
            "paper".
        name: Of the model.

    Raises:
        UserError: A setting is unknown or its value does not fit.
    """
    values = dict(overrides or {})
    preset = str(values.pop("preset", "small"))
    if preset not in PRESETS:
        raise UserError("--set preset", repr(preset), " or ".join(PRESETS))
    settings = PRESETS[preset]().model_dump()
    for key, value in values.items():
        outer, _, inner = key.partition(".")
        if outer not in settings or (inner and inner not in (settings[outer] if outer == "sampler" else ())):
            raise UserError("--set", repr(key), "one of " + ", ".join(SETTINGS))
        if inner:
            settings[outer][inner] = value
        else:
            settings[outer] = value
    return DiffCSP(DiffCSPConfig.checked(settings, where="--set"), name)
