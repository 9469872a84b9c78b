"""The resolved configuration of a command: frozen, checked once, stored in the run as it was used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nucleate.errors import UserError

Device = Literal["auto", "cpu", "cuda", "mps"]


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


class ScreenSettings(Settings):
    """How structures are relaxed, placed on the hull and compared."""

    potential: str = Field(default="chgnet", min_length=1)
    python: str | None = Field(default=None, min_length=1, description="interpreter that runs the potential")
    reference: str = Field(default="bundled", min_length=1)
    fmax: float = Field(default=0.05, gt=0, description="largest force at convergence, eV/Å")
    max_steps: int = Field(default=500, ge=1)
    max_seconds: float = Field(default=60.0, gt=0, description="per crystal")
    rattle: bool = Field(default=True, description="displace by 0.03 Å and strain by 1 % first")
    settle: bool = Field(default=True, description="move onto symmetry that costs at most 1 meV/atom afterwards")
    stable_within: float = Field(default=0.1, ge=0, description="eV/atom above the hull")
    symprec: float = Field(default=0.1, gt=0, description="Å")
    descriptors: str = Field(default="cheap", description="all, cheap, none, or names joined by commas")
    funnel: str = Field(default="none", min_length=1, description="none, pigen, sun, or a TOML or JSON file of filters")
    thresholds: tuple[str, ...] = Field(default=(), description="name=value for filters of the funnel")
    matcher: Literal["ordered", "disordered"] | None = Field(default=None, description="the protocol's, or ordered")
    protocol: str = Field(default="none", description="none, or the published protocol whose settings these are")
    labels: Literal["all", "distinct", "new"] = Field(default="all", description="protostructures that are relaxed")
    chunk_size: int = Field(default=32, ge=1, le=10_000)
    seed: int = Field(default=0, ge=0, lt=2**63)

    def without_relaxation(self) -> Self:
        """The same for structures that are relaxed already: one evaluation each, any force will do."""
        return self.model_copy(update={"fmax": inf, "max_steps": 1, "rattle": False, "settle": False})

    @property
    def relaxation(self) -> str:
        """The relaxation protocol in words."""
        if self.fmax == inf:
            return "none (structures as given)"
        text = f"relax-v1: fmax {self.fmax:g} eV/Å, at most {self.max_steps} steps and {self.max_seconds:g} s"
        text += ", start rattled by 0.03 Å and 1 % strain" if self.rattle else ""
        return text + (", then moved onto symmetry that costs at most 1 meV/atom" if self.settle else "")


class DesignSettings(Settings):
    """What is asked of a generator, and how the answers are screened."""

    model: str = Field(min_length=1)
    n: int = Field(default=16, ge=1, le=10_000_000)
    where: tuple[str, ...] = ()
    allow_subsystems: bool = False
    guidance: tuple[str, ...] = ()
    sampler: str = Field(default="default", description="default, paper, or settings of the model's family")
    draw_below: float | None = Field(default=None, ge=-1, le=100, description="eV/atom above the hull as generated")
    device: Device = "auto"
    screen: ScreenSettings = ScreenSettings()


class MagnetSettings(Settings):
    """What is hunted where, and how it is judged.

    Attributes:
        models: Generators by name or folder; ``n`` crystals of each. Empty where ``structures`` is given.
        structures: A file of structures, or a run whose crystals are taken.
        n, where, allow_subsystems, guidance, sampler, device: As in a design.
        elements: Symbols that a crystal may hold; hydrogen to xenon without any.
        predictor: Property network by name or folder; "none" for none.
        data: Table of known crystals with labels: its compositions are not new, and the base rate is its.
        magnetization: What counts after relaxation: the network's answer or the sum of CHGNet's moments;
            "auto" is the network where there is one.
        thresholds: ``NAME=VALUE`` for filters of the funnel.
        symmetrize: Å within which crystals that nothing but low symmetry stops are moved onto higher symmetry. They
            count only where the structure matcher calls them the same and they relax to no higher energy; 0: none are.
        cells: Primitive cells in the largest supercell of the orderings.
        screen: How survivors are relaxed and placed on the hull.
    """

    models: tuple[str, ...] = ()
    structures: str | None = None
    n: int = Field(default=1000, ge=1, le=10_000_000)
    where: tuple[str, ...] = ()
    allow_subsystems: bool = False
    guidance: tuple[str, ...] = ()
    sampler: str = "default"
    device: Device = "auto"
    elements: tuple[str, ...] = ()
    predictor: str = Field(default="none", min_length=1)
    data: str | None = None
    magnetization: Literal["auto", "network", "moments"] = "auto"
    thresholds: tuple[str, ...] = ()
    symmetrize: float = Field(default=0.0, ge=0, le=0.3)
    cells: int = Field(default=2, ge=1, le=8)
    screen: ScreenSettings = ScreenSettings()


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
