"""How a user names what a model samples with."""

from __future__ import annotations

from typing import TypeVar

from nucleate.config import Settings
from nucleate.errors import UserError

AnySampler = TypeVar("AnySampler", bound=Settings)


def sampler_from(text: str, default: AnySampler, paper: AnySampler) -> AnySampler:
    """The sampler that a user names.

    Arguments:
        text: "default", "paper", or settings to change in the default, as "steps=50,draws=1"; a setting of several
            numbers as "snr=0.4:0.2".
        default: What the model brings.
        paper: What its family published.

    Raises:
        UserError: It is none of these.
    """
    if text in ("default", "paper"):
        return paper if text == "paper" else default
    values = default.model_dump()
    for part in text.split(","):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or name not in values:
            expected = "default, paper, or NAME=VALUE,... with names " + ", ".join(values)
            raise UserError("--sampler", repr(part), expected)
        values[name] = value.split(":") if isinstance(getattr(default, name), tuple) else value
    return default.checked(values, where="--sampler")
