"""``nucleate models``: what can be asked to generate, and weights from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from nucleate.cli import options
from nucleate.cli.outcome import note, print_json
from nucleate.errors import UserError

SHOW = "show"


class _ShowsByDefault(TyperGroup):
    """``nucleate models`` and ``nucleate models NAME`` are ``nucleate models show [NAME]``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not set(args) & {"-h", "--help"} and not (args and args[0] in self.commands):
            args = [SHOW, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_ShowsByDefault,
    help="List models and searchers, show the card of one, import weights from elsewhere.",
    epilog="Example: nucleate models pigen-mp",
)


@app.command(SHOW, epilog="Example: nucleate models pigen-mp")
def show(
    model: Annotated[str | None, typer.Argument(help="Show the card of this one.")] = None,
    as_json: options.Json = False,
) -> None:
    """List models and searchers, or show the card of one: data, cost and measured quality."""
    from nucleate.families.registry import find_model, list_models

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


@app.command("import", epilog="Example: nucleate models import last.ckpt --as mattergen-base")
def import_(
    path: Annotated[Path, typer.Argument(help="A checkpoint of MatterGen's public code.")],
    name: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="Name of the model; without -o also its folder.")
    ] = None,
    out: Annotated[Path | None, typer.Option("-o", "--out", metavar="FOLDER", help="The model's folder.")] = None,
    as_json: options.Json = False,
) -> None:
    """Make a model folder of MatterGen's public weights, which is then asked like any other model.

    The file is read as tensors alone, in a process of its own. Whether you may use the weights is between you and
    their authors: check the licence where you took them from.
    """
    from nucleate import api

    if name is None and out is None:
        raise UserError("models import", "neither --as nor -o", "a name or a folder for the model")
    folder = out if out is not None else Path(str(name))
    api.import_model(path, folder, name)
    if as_json:
        print_json({"model": str(folder), "name": name or folder.name})
    else:
        note(f"{folder}: a model like any other, as in `nucleate generate {folder} -n 4 -o crystals`")
