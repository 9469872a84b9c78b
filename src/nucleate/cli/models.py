"""``nucleate models``: what can be asked to generate."""

from __future__ import annotations

from typing import Annotated

import typer

from nucleate.cli import options

NAME = "models"
EXAMPLE = "Example: nucleate models pigen-mp"


def command(
    model: Annotated[str | None, typer.Argument(help="Show the card of this one.")] = None,
    as_json: options.Json = False,
) -> None:
    """List models and searchers, or show the card of one: data, cost and measured quality."""
    from nucleate.campaign.models import find_model, list_models
    from nucleate.cli.outcome import print_json

    entries = list_models() if model is None else [find_model(model)]
    if as_json:
        facts = ("name", "kind", "summary", "conditions")
        print_json([{fact: getattr(entry, fact) for fact in facts} for entry in entries])
    elif model is not None:
        typer.echo(entries[0].card())
    else:
        width = max(len(entry.name) for entry in entries)
        for entry in entries:
            typer.echo(f"{entry.name:<{width}}  {entry.kind:<8}  {entry.summary}")
