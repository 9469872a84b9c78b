"""Commands whose options are those of a settings class, and the options that say only how a command is carried out."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import typer
from typer.core import TyperCommand
from typer.main import get_command

if TYPE_CHECKING:
    from nucleate.options import Keyword, Option

Structures = Annotated[Path, typer.Argument(help="CIF, folder or zip of CIFs, extxyz, Parquet, CSV with a cif column.")]
Json = Annotated[bool, typer.Option("--json", help="Machine-readable result on standard output.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run in the output folder.")]
Workers = Annotated[int | None, typer.Option(help="Worker processes for relaxation; all cores by default.", min=1)]
Unused = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.", metavar="DEVICE")]

Function = Callable[..., None]


def command(app: typer.Typer, name: str, example: str) -> Callable[[Function], Function]:
    """Make a function a command of an app.

    The function takes settings first, and then what is said of the command alone; its options are those of the class of
    the settings. The class is read when the command is called or explained, so that ``nucleate --help`` need not
    wait for it.

    Arguments:
        app: The app.
        name: What the command is called.
        example: A line that works.
    """

    def decorated(function: Function) -> Function:
        made = cache(lambda: _made(function))

        class FromSettings(TyperCommand):
            def get_params(self, ctx: Any) -> Any:
                self.params, self.callback = made().params, made().callback
                return super().get_params(ctx)

        app.command(name, cls=FromSettings, help=function.__doc__, epilog=f"Example: {example}")(lambda: None)
        return function

    return decorated


def _made(function: Function) -> Any:
    """The function as a command with all its options."""
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    alone.command()(with_keywords(function))
    return get_command(alone)


def with_keywords(function: Function) -> Function:
    """A function of settings as one of their keywords, each with the option that it has on the command line."""
    from nucleate import settings as known

    hints = get_type_hints(function, localns=vars(known), include_extras=True)
    first, *own = inspect.signature(function).parameters.values()
    settings = hints[first.name]
    options = {name: (keyword, keyword.option) for name, keyword in settings.keywords().items() if keyword.option}

    def call(**values: Any) -> None:
        given = {name: values.pop(name) for name in options}
        function(
            settings.from_keywords({name: value for name, value in given.items() if value not in (None, [])}), **values
        )

    shown = [_parameter(name, *spelled) for name, spelled in options.items()]
    shown += [
        parameter.replace(annotation=hints[parameter.name], kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own
    ]
    arguments = [one for one in shown if isinstance(get_args(one.annotation)[1], typer.models.ArgumentInfo)]
    required = [one for one in shown if one.default is one.empty and one not in arguments]
    rest = [one for one in shown if one not in arguments and one not in required]
    call.__signature__ = inspect.Signature([*arguments, *required, *rest])  # type: ignore[attr-defined]
    call.__doc__ = function.__doc__
    return call


def _parameter(name: str, keyword: Keyword, option: Option) -> inspect.Parameter:
    """A parameter from which Typer makes the option of a keyword."""
    kind: Any = str if option.text else _typed_as(keyword.info.annotation)
    several = get_origin(kind) is list
    default: Any = keyword.default
    if option.default or several or option.text:
        default = inspect.Parameter.empty if default is ... else None
    elif default is ...:
        default = inspect.Parameter.empty
    bounds = {edge: _bound(keyword, limit) for edge, limit in (("min", "ge"), ("max", "le"))}
    shared: dict[str, Any] = {"help": keyword.help, "metavar": option.metavar, "rich_help_panel": option.panel}
    if kind in (int, float):
        shared |= {edge: value for edge, value in bounds.items() if value is not None}
    if option.default:
        shared["show_default"] = option.default
    if option.positional:
        info: Any = typer.Argument(**shared)
    else:
        info = typer.Option(option.flag or f"--{name.replace('_', '-')}", **shared)
    wanted = kind if default is not None else kind | None
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[wanted, info])


def _typed_as(annotation: Any) -> Any:
    """Type that Typer reads: a number, a path, a truth value, a text, or several texts, which the field parses."""
    if get_origin(annotation) in (Union, UnionType):
        annotation = next(kind for kind in get_args(annotation) if kind is not NoneType)
    if annotation in (bool, int, float, str, Path):
        return annotation
    if get_origin(annotation) is Literal:
        return str
    return list[str]


def _bound(keyword: Keyword, name: str) -> float | None:
    return next((getattr(mark, name) for mark in keyword.info.metadata if hasattr(mark, name)), None)
