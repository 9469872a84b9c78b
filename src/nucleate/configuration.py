"""The base of all configurations: frozen, and checked once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from nucleate.errors import UserError


class Settings(BaseModel):
    """Base of all configurations: immutable, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")

    @classmethod
    def checked(cls, values: Mapping[str, Any], where: str = "option") -> Self:
        """Build from plain values.

        Raises:
            UserError: A value does not fit; the message names the first option at fault.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            first = error.errors()[0]
            cause = first.get("ctx", {}).get("error")
            if isinstance(cause, UserError):
                raise cause from None
            name = ".".join(str(part) for part in first["loc"])
            raise UserError(
                f"{where} {name}", repr(first.get("input")), first["msg"].removeprefix("Input should be ")
            ) from None


AnySettings = TypeVar("AnySettings", bound=Settings)


def from_preset(
    config: type[AnySettings],
    presets: Mapping[str, Callable[[], AnySettings]],
    default: str,
    overrides: Mapping[str, object] | None,
) -> AnySettings:
    """A configuration from settings.

    Arguments:
        config: The class.
        presets: Complete configurations by name.
        default: Name of the one that is changed where ``overrides`` has no ``preset``.
        overrides: Values for fields of ``config``; ``sampler.steps`` and the like reach inside a setting.

    Raises:
        UserError: A setting is unknown or its value does not fit.
    """
    values = dict(overrides or {})
    preset = str(values.pop("preset", default))
    if preset not in presets:
        raise UserError("--set preset", repr(preset), "one of " + ", ".join(presets))
    settings: dict[str, Any] = presets[preset]().model_dump()
    for key, value in values.items():
        outer, _, inner = key.partition(".")
        if outer not in settings or (
            inner and inner not in (settings[outer] if isinstance(settings[outer], dict) else ())
        ):
            raise UserError("--set", repr(key), "one of " + ", ".join(("preset", *config.model_fields)))
        if inner:
            settings[outer][inner] = value
        else:
            settings[outer] = value
    return config.checked(settings, where="--set")
