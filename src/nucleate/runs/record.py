"""The record of a folder of results: its kind and how it was made; the content of ``run.json``, typed.

The file is plain JSON with its keys in order, written whole. It is validated once, when it is read; code that holds a
:class:`RunRecord` need not check it again. What a folder is (``kind``) is what its record says.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from nucleate.conditions.request import Conditions
from nucleate.data.reference import reference_folder
from nucleate.errors import UserError
from nucleate.potentials.registry import Provenance
from nucleate.settings import CompareSettings, DesignSettings, ExploreSettings, MagnetSettings, ScreenSettings

PACKAGES = ("nucleate", "torch", "numpy", "scipy", "pymatgen", "ase", "chgnet", "moyopy", "pyxtal")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that compute."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def reference_hash(name: str) -> str:
    """SHA-256 of the files of a reference."""
    return path_hash(reference_folder(name))


def path_hash(path: Path) -> str:
    """SHA-256 of a file, or of a folder's file names and contents in order of name."""
    digest = hashlib.sha256()
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in files:
        digest.update(str(file.relative_to(path)).encode() + b"\0")
        with file.open("rb") as handle:
            digest.update(hashlib.file_digest(handle, "sha256").digest())
    return digest.hexdigest()


FORMAT_VERSION: Literal[2] = 2
"""Raised whenever a record of before could be misunderstood."""

Kind = Literal["design", "screen", "magnets", "comparison", "exploration"]
AnySettings = DesignSettings | ScreenSettings | MagnetSettings | CompareSettings | ExploreSettings

SETTINGS: Mapping[Kind, type[AnySettings]] = {
    "design": DesignSettings,
    "screen": ScreenSettings,
    "magnets": MagnetSettings,
    "comparison": CompareSettings,
    "exploration": ExploreSettings,
}
"""The settings of each kind of folder."""

COMMANDS: Mapping[Kind, str] = {
    "design": "design",
    "screen": "screen",
    "magnets": "magnets",
    "comparison": "compare",
    "exploration": "phase-diagram",
}
"""The command that makes each kind of folder."""


def kind_of(settings: AnySettings) -> Kind:
    """The kind of folder that is made with settings of this class."""
    return next(kind for kind, made_with in SETTINGS.items() if type(settings) is made_with)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


class Timing(_Part):
    """Time that a stage has taken, over all sessions of a run.

    Attributes:
        seconds: By the clock, s.
        core_seconds: Processor time, s.
        crystals: How many went through.
    """

    seconds: float = 0.0
    core_seconds: float = 0.0
    crystals: int = 0

    def plus(self, seconds: float, core_seconds: float, crystals: int) -> Timing:
        """The sum with a further session, times in s."""
        return Timing(
            seconds=self.seconds + seconds,
            core_seconds=self.core_seconds + core_seconds,
            crystals=self.crystals + crystals,
        )


class StatedProtocol(_Part):
    """How candidates were evaluated, in words; what a rate is printed with.

    Attributes:
        potential, reference, relaxation, matcher: In words.
        symprec: Tolerance of symmetry, Å.
        candidates_relaxed: Which protostructures were relaxed: all, distinct or new.
        stability_threshold: Largest energy above the hull that counts as stable, eV/atom.
        denominator: What shares are shares of.
        candidates_drawn: How candidates were chosen before relaxation; None where all were taken.
        follows: Name of the published protocol that was followed; None without one.
        source: Where that protocol is published.
        deviations: Where the run departs from it, a line each.
    """

    potential: str
    reference: str
    relaxation: str
    matcher: str
    symprec: float
    candidates_relaxed: str
    stability_threshold: float
    denominator: str
    candidates_drawn: str | None = None
    follows: str | None = None
    source: str | None = None
    deviations: tuple[str, ...] | None = None

    def stated(self) -> dict[str, JsonValue]:
        """The statements by name, in order; those that say nothing are left out."""
        return dict(sorted(self.model_dump(mode="json", exclude_none=True).items()))


class RunRecord(_Part):
    """The kind of a folder of results, and how it was made.

    Attributes:
        kind: What the folder is.
        created: When it was begun.
        settings: What was asked for, every default resolved; its class follows from ``kind``.
        seed: Of all that is drawn.
        n: Number of crystals; of each run, where the folder holds several.
        structures: The file that was screened; None for crystals that came from elsewhere or were generated.
        limit: Largest number of crystals taken from the file; None for all.
        drawn_from: Crystals in the file, where a limit was given.
        chunk_plan: First and one-past-last row of each chunk; none where the folder holds runs, not crystals.
        hashes: SHA-256 of what went in: ``reference``, ``model``, ``structures``, ``data``.
        potential: What relaxed the crystals.
        descriptors: Names of the descriptors that were computed.
        funnel: The filters that were applied, as a funnel describes itself; None without.
        protocol: How candidates were evaluated.
        magnetization: Of a search for magnets: whose magnetization counts after relaxation.
        versions: Of Python and of the packages that compute.
        citations: Keys of what to cite.
        timings: By stage.
        warnings: What a reader must know.
        drawn: Where crystals are drawn until they lie low: position in the generator's stream, by the next row.
    """

    kind: Kind
    format_version: Literal[2] = FORMAT_VERSION
    created: AwareDatetime = Field(default_factory=lambda: datetime.now(tz=UTC).replace(microsecond=0))
    settings: AnySettings
    seed: int = Field(ge=0)
    n: int = Field(ge=0)
    structures: str | None = None
    limit: int | None = None
    drawn_from: int | None = None
    chunk_plan: tuple[tuple[int, int], ...] = ()
    hashes: dict[str, str] = {}
    potential: Provenance
    descriptors: tuple[str, ...] = ()
    funnel: dict[str, JsonValue] | None = None
    protocol: StatedProtocol
    magnetization: Literal["network", "moments"] | None = None
    versions: dict[str, str] = {}
    citations: tuple[str, ...] = ()
    timings: dict[str, Timing] = {}
    warnings: tuple[str, ...] = ()
    drawn: dict[int, int] = {}

    @field_validator("settings", mode="before")
    @classmethod
    def _of_the_kind(cls, values: object, info: ValidationInfo) -> object:
        """Settings of several classes may fit the same values: the kind says which class is meant."""
        return SETTINGS[info.data["kind"]].model_validate(values) if "kind" in info.data else values

    @model_validator(mode="after")
    def _plan_without_gaps(self) -> Self:
        end = 0
        for start, stop in self.chunk_plan:
            if start != end or stop <= start:
                raise ValueError(f"a chunk from {end} to a later row")
            end = stop
        return self

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The record of a folder.

        Raises:
            UserError: There is none, it is not JSON, another version wrote it, or a field of it does not fit.
        """
        path = folder / "run.json"
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            raise _no_record(folder) from None
        except ValueError:
            raise UserError(str(path), "text that is not JSON", "the run.json that Nucleate wrote") from None
        if not isinstance(content, dict) or content.get("format_version") != FORMAT_VERSION:
            raise _other_version(path, content)
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            found = "nothing" if first["type"] == "missing" else repr(first.get("input"))[:80]
            expected = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
            raise UserError(f"{path} {name}".strip(), found, expected) from None

    def to_json(self) -> str:
        """The text of ``run.json``: keys in order, infinite numbers as text, so that any reader understands it."""
        plain = json.loads(self.model_dump_json())
        return json.dumps(plain, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"

    @property
    def command(self) -> str:
        """The command that makes such a folder."""
        return COMMANDS[self.kind]

    @property
    def holds_runs(self) -> bool:
        """Whether the folder holds runs, each with its record, in place of crystals."""
        return isinstance(self.settings, CompareSettings | ExploreSettings)

    @property
    def screening(self) -> ScreenSettings:
        """How candidates were relaxed and evaluated."""
        return self.settings if isinstance(self.settings, ScreenSettings) else self.settings.screen

    @property
    def where(self) -> tuple[str, ...]:
        """The conditions asked for; empty where there were none."""
        return () if self.request is None else self.request.texts

    @property
    def request(self) -> Conditions | None:
        """The conditions asked for; None where structures came from elsewhere, or each run has its own."""
        return None if isinstance(self.settings, ScreenSettings | CompareSettings) else self.settings.where

    @property
    def source(self) -> str:
        """Where the crystals come from: names of models, or a file."""
        if isinstance(self.settings, DesignSettings):
            return self.settings.model
        if isinstance(self.settings, ScreenSettings):
            return self.structures or "structures"
        named = ", ".join(self.settings.models)
        return named or (str(self.settings.structures) if isinstance(self.settings, MagnetSettings) else "models")

    @property
    def draw_below(self) -> float | None:
        """Energy above the hull up to which crystals were kept as generated, eV/atom; None where all were."""
        return self.settings.draw_below if isinstance(self.settings, DesignSettings) else None

    def fixed(self) -> dict[str, JsonValue]:
        """The values that have to be the same for the folder to go on.

        Runs inside a folder answer for themselves: others may join them.
        """
        names = {"settings", "limit", "hashes", "potential", "funnel"}
        return self.model_dump(mode="json", include={"kind"} if self.holds_runs else {"kind", *names})


_OLD_RECORDS = ("phase_diagram.json", "comparison.json")
"""Files of several runs that stood for a record in format version 1."""


def _no_record(folder: Path) -> UserError:
    """A folder without ``run.json``: none of ours, or one of the first format."""
    for path in (folder / name for name in _OLD_RECORDS):
        with suppress(OSError, ValueError):
            return _other_version(path, {"format_version": 1} | json.loads(path.read_text(encoding="utf-8")))
    return UserError(str(folder), "no run.json", "the folder of a run")


def _other_version(path: Path, content: Any) -> UserError:
    """A record of another format: what made it, and what to do."""
    known: Mapping[str, Any] = content if isinstance(content, dict) else {}
    versions = known.get("versions")
    maker = versions.get("nucleate") if isinstance(versions, dict) else None
    command = known.get("command") or known.get("kind")
    found = f"format version {known.get('format_version')!r}" + (f", made by Nucleate {maker}" if maker else "")
    ways = [f"make it anew with `nucleate {command}` and the settings that the file holds"] if command else []
    ways += [f"open it with Nucleate {maker} of that format"] if maker else []
    advice = f"; {' or '.join(ways)}" if ways else ""
    return UserError(str(path), found, f"version {FORMAT_VERSION} of this Nucleate{advice}")


def difference(found: Any, wanted: Any, name: str = "") -> tuple[str, Any, Any] | None:
    """The first value in which two plain records differ, with its name; None where they are the same."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in sorted(found.keys() | wanted.keys()):
            inner = difference(found.get(key), wanted.get(key), key)
            if inner is not None:
                return inner
        return None
    return None if found == wanted else (name, found, wanted)
