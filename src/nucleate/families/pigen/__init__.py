"""PIGEN (Vasylenko et al., 2025), and DiffCSP (Jiao et al., NeurIPS 2023) that it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nucleate.errors import UserError
from nucleate.families.pigen.config import PigenConfig, sampler_from
from nucleate.families.pigen.model import Pigen
from nucleate.families.stored import CONFIG, load_weights, stored_config

FAMILY = "pigen"
PRESETS = {
    "pigen": PigenConfig.pigen,
    "pigen-paper": PigenConfig.pigen_paper,
    "diffcsp": PigenConfig,
    "diffcsp-paper": PigenConfig.diffcsp_paper,
}
SETTINGS = ("preset", *PigenConfig.model_fields)
"""Names that :func:`build` takes; ``sampler.steps`` and the like reach inside a setting."""


def load(folder: Path, sampler: str = "default", guidance: float | Mapping[str, float] | None = None) -> Pigen:
    """The model of a folder, ready to sample.

    Arguments:
        folder: With weights and configuration.
        sampler: See :func:`~nucleate.families.pigen.config.sampler_from`.
        guidance: γ of every condition, or by name, where a call says nothing; the model's own if None.

    Raises:
        UserError: Configuration or weights are missing or damaged, or do not fit each other; no such sampler.
    """
    stored = stored_config(folder, FAMILY)
    config = PigenConfig.checked(stored.get("config", {}), where=str(folder / CONFIG))
    walk = sampler_from(sampler, config.sampler)
    config = PigenConfig.checked(config.model_dump() | {"sampler": walk.model_dump()}, where="--sampler")
    model = Pigen(config, str(stored.get("name", folder.name)))
    model.strengths = guidance
    load_weights(model, folder)
    return model.eval()


def build(overrides: Mapping[str, object] | None = None, name: str = FAMILY) -> Pigen:
    """A model with fresh weights; see :func:`configured`."""
    return Pigen(configured(overrides), name)


def configured(overrides: Mapping[str, object] | None = None) -> PigenConfig:
    """A configuration from settings.

    Arguments:
        overrides: Values for fields of :class:`PigenConfig`, on top of ``preset``, one of ``PRESETS``.

    Raises:
        UserError: A setting is unknown or its value does not fit.
    """
    values = dict(overrides or {})
    preset = str(values.pop("preset", "pigen"))
    if preset not in PRESETS:
        raise UserError("--set preset", repr(preset), "one of " + ", ".join(PRESETS))
    settings = PRESETS[preset]().model_dump()
    for key, value in values.items():
        outer, _, inner = key.partition(".")
        if outer not in settings or (inner and inner not in (settings[outer] if outer == "sampler" else ())):
            raise UserError("--set", repr(key), "one of " + ", ".join(SETTINGS))
        if inner:
            settings[outer][inner] = value
        else:
            settings[outer] = value
    return PigenConfig.checked(settings, where="--set")
