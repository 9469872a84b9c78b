"""Options of commands: how a field of settings becomes one, and those that several commands share."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar

from pydantic import BeforeValidator, Field, PlainSerializer, PlainValidator, ValidationInfo
from pydantic.fields import FieldInfo

from nucleate.configuration import Settings
from nucleate.errors import UserError

if TYPE_CHECKING:
    from nucleate.conditions.request import Conditions

Result = TypeVar("Result")


@dataclass(frozen=True)
class Option:
    """Makes a field an option of the command line; a field without it can be set from Python alone.

    Attributes:
        flag: Such as ``-n`` or ``--relax/--no-relax``; ``--NAME-OF-THE-FIELD`` if empty.
        metavar: Stands for the value in the help.
        default: The default in words, where other options decide it: the field then counts as given only if typed.
        panel: Heading in the help.
        positional: Whether it is an argument of the command and not an option.
        text: Whether it is typed as one text, which the field takes apart.
    """

    flag: str = ""
    metavar: str | None = None
    default: str = ""
    panel: str | None = None
    positional: bool = False
    text: bool = False


@dataclass(frozen=True)
class Without:
    """Names of fields of inner settings that a command decides itself."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Keyword:
    """A value that a command takes: a field of its settings, or of the settings inside them.

    Attributes:
        info: The field.
        default: The value where none is given; None where that is left open, ``...`` where one must be given.
        inside: Field of the command's settings that the inner settings are in; empty for a field of its own.
    """

    info: FieldInfo
    default: object
    inside: str = ""

    @property
    def option(self) -> Option | None:
        """How the command line spells it; None where it does not."""
        return next((mark for mark in self.info.metadata if isinstance(mark, Option)), None)

    @property
    def help(self) -> str:
        """Its meaning, in a sentence or two."""
        return self.info.description or ""


class CommandSettings(Settings):
    """Base of the settings of a command. Fields of settings inside it are given like its own, by their names alone."""

    @classmethod
    def keywords(cls) -> dict[str, Keyword]:
        """Everything that can be given, by name."""
        found: dict[str, Keyword] = {}
        for name, info in cls.model_fields.items():
            default = ... if info.is_required() else info.default if info.default_factory is None else None
            if not isinstance(default, CommandSettings):
                found[name] = Keyword(info, default)
                continue
            left_out = {key for mark in info.metadata if isinstance(mark, Without) for key in mark.names}
            for key, keyword in type(default).keywords().items():
                if key not in left_out and key not in cls.model_fields:
                    found[key] = replace(keyword, default=getattr(default, key), inside=name)
        return found

    @classmethod
    def from_keywords(cls, values: Mapping[str, object]) -> Self:
        """Settings from values by keyword; None leaves open.

        Raises:
            UserError: There is no such keyword, or a value does not fit.
        """
        known = cls.keywords()
        own: dict[str, object] = {}
        inner: dict[str, dict[str, object]] = {}
        for name, value in values.items():
            if value is not None:
                place = known[name].inside if name in known else ""
                (inner.setdefault(place, {}) if place else own)[name] = value
        for field, given in inner.items():
            default: CommandSettings = cls.model_fields[field].default
            own[field] = type(default).checked({**default.model_dump(exclude_unset=True), **given})
        return cls.checked(own)


SHARED = {
    "structures": "A file, a batch, or a list of pymatgen structures or ASE atoms.",
    "out": "The folder of the results.",
    "resume": "Go on with what was interrupted.",
    "workers": "Worker processes; all cores by default.",
    "progress": "Called with a stage, the number through it, and the number of all.",
}
"""Meaning of the parameters that functions of settings take beside them."""


def takes(
    settings: type[CommandSettings], *positional: str
) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """Let a function of settings be called with their keywords instead; its signature and help then list them.

    Arguments:
        settings: Class of the function's first parameter.
        positional: Keywords and further parameters that need no name, in order.
    """
    keywords = settings.keywords()

    def decorated(function: Callable[..., Result]) -> Callable[..., Result]:
        own = inspect.signature(function)
        named = {
            name: inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=inspect.Parameter.empty if keyword.default is ... else keyword.default,
                annotation=keyword.info.annotation,
            )
            for name, keyword in keywords.items()
        }
        further = list(own.parameters.values())[1:]
        named |= {parameter.name: parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in further}
        first = [named.pop(name).replace(kind=inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in positional]
        signature = own.replace(parameters=[*first, *named.values()])

        @functools.wraps(function)
        def call(*arguments: Any, **options: Any) -> Result:
            if arguments and isinstance(arguments[0], settings):
                return function(*arguments, **options)
            given = signature.bind(*arguments, **options).arguments
            bound = settings.from_keywords({name: value for name, value in given.items() if name in keywords})
            return function(bound, **{name: value for name, value in given.items() if name not in keywords})

        meant = SHARED | {name: keyword.help for name, keyword in keywords.items()}
        lines = "".join(f"\n        {name}: {meant[name]}" for name in signature.parameters)
        summary, section, rest = re.split(r"(\n\n    (?:Returns|Raises):)", function.__doc__ or "", maxsplit=1)
        call.__doc__ = f"{summary}\n\n    Arguments:{lines}{section}{rest}"
        call.__signature__ = signature  # type: ignore[attr-defined]
        del call.__wrapped__  # which pages of documentation would show in its place
        call.settings = settings  # type: ignore[attr-defined]
        return call

    return decorated


SCREENING = "Screening"
"""Heading of the options that say how crystals are relaxed and evaluated."""


def _conditions(value: object, info: ValidationInfo) -> Conditions:
    from nucleate.conditions.request import Conditions  # loads torch, which --help does without

    subsystems = bool(info.data.get("allow_subsystems", False))
    if isinstance(value, Conditions):
        return replace(value, allow_subsystems=subsystems or value.allow_subsystems)
    return Conditions.parse(value, subsystems)  # type: ignore[arg-type]


def no_conditions() -> Conditions:
    """A request that leaves everything open."""
    from nucleate.conditions.request import Conditions

    return Conditions()


def _texts(where: Conditions) -> tuple[str, ...]:
    return where.texts


def _pairs(texts: list[object] | tuple[object, ...], flag: str, expected: str) -> list[tuple[str, str]]:
    """Names and values of ``NAME=VALUE`` texts."""
    found = [str(item).partition("=") for item in texts]
    for name, separator, value in found:
        if not (separator and name and value):
            raise UserError(flag, repr(name + separator + value), expected)
    return [(name, value) for name, _, value in found]


def _overrides(value: object) -> object:
    return dict(_pairs(value, "--set", "NAME=VALUE")) if isinstance(value, list | tuple) else value


def files_by_name(value: object) -> object:
    """Files by the name that ``NAME=PATH`` gives them; anything else as it is.

    Raises:
        UserError: A text is none, or a name is value twice.
    """
    if not isinstance(value, list | tuple):
        return value
    files: dict[str, str] = {}
    for name, path in _pairs(value, "--file", "NAME=PATH, such as others=crystals.zip"):
        if name in files:
            raise UserError("--file", f"two files called {name!r}", "a name for each")
        files[name] = path
    return files


def _one_or_more(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def symbols(value: object) -> object:
    """Chemical symbols of a text such as ``Fe,Co``; anything else as it is.

    Raises:
        UserError: The text names none.
    """
    if not isinstance(value, str):
        return value
    parts = tuple(part.strip() for part in value.split(","))
    if not any(parts):
        raise UserError("--elements", "none", "symbols such as Fe,Co,Mn,N,C")
    return parts


Device = Literal["auto", "cpu", "cuda", "mps"]
Names = Annotated[tuple[str, ...], BeforeValidator(_one_or_more)]
"""Several texts; one alone need not be in a list."""
Overrides = Annotated[
    Mapping[str, str],
    BeforeValidator(_overrides),
    Option("--set", metavar="NAME=VALUE"),
    Field(default_factory=dict, description="A setting of the model or of its training; repeat for more."),
]
Cells = Annotated[int, Option(), Field(ge=1, le=8, description="Primitive cells in the largest supercell.")]
DeviceOption = Annotated[Device, Option(metavar="DEVICE"), Field(description="auto, cpu, cuda or mps.")]
Seed = Annotated[int, Option(), Field(ge=0, lt=2**63, description="Equal seeds give equal crystals.")]
Model = Annotated[
    str,
    Option(positional=True),
    Field(min_length=1, description="A model, a model's folder, or a searcher; see `nucleate models`."),
]
Sampler = Annotated[
    str,
    Option(metavar="default|paper|NAME=VALUE,..."),
    Field(description="default, paper (the published one), or settings to change, such as steps=50,temperature=1."),
]
DrawBelow = Annotated[
    float | None,
    Option(metavar="ENERGY"),
    Field(
        ge=-1,
        le=100,
        description="Before relaxing, draw each crystal until it lies, as it comes, at most so many eV/atom above the "
        "hull and is no repeat; up to ten times, then the lowest. 0.1 is a good choice for models that come near their "
        "relaxed structures; a comparison leaves searchers as they are.",
    ),
]
Potential = Annotated[
    str,
    Option(metavar="NAME[,KEY=VALUE...]", panel=SCREENING),
    Field(
        min_length=1,
        description="chgnet, mace, mattersim, orb, sevenn, torchsim, ase:emt, or an ASE calculator as module:Class; "
        "keyword arguments behind commas: mace,model=medium.",
    ),
]
Python = Annotated[
    str | None,
    Option(metavar="PATH", panel=SCREENING),
    Field(min_length=1, description="Interpreter of another environment, which runs the potential there."),
]
if TYPE_CHECKING:
    Where = Conditions
else:  # the class of conditions loads torch, so that it is met only when a value comes
    Where = Annotated[Iterable[str] | Mapping[str, object] | None, PlainValidator(_conditions), PlainSerializer(_texts)]


def resolve_device(device: str) -> str:
    """The device to compute on; ``auto`` takes an accelerator where there is one.

    Raises:
        UserError: The device is unknown or this machine lacks it.
    """
    import torch

    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return next((name for name in ("cuda", "mps") if available[name]), "cpu")
    if not available.get(device, False):
        usable = ", ".join(name for name, there in available.items() if there)
        raise UserError("--device", repr(device), f"auto, or one that this machine has: {usable}")
    return device
