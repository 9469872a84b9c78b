"""Models by name: those that ship with the package, model folders, and the searchers; read back and ready to sample."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module, resources
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from nucleate.errors import UserError
from nucleate.families.base import FamilySpec, GenerativeModel
from nucleate.guidance.classifier_free import parse_strengths
from nucleate.plugins import Registry, modules_in
from nucleate.predictors.base import PREDICTORS
from nucleate.training.export import CARD, CONFIG, WEIGHTS, StoredModel
from nucleate.training.model import ModelSpec

if TYPE_CHECKING:
    from nucleate.conditions.request import Conditions
    from nucleate.crystal.crystals import Crystals

FAMILIES: Registry[FamilySpec] = Registry(
    "family", "nucleate.families", modules_in("nucleate.families", "SPEC", folders=True)
)
"""Every family by name: each folder here, plugins, entry points."""
_LFS_POINTER = b"version https://git-lfs"


def register(spec: FamilySpec) -> None:
    """Add a family; a plugin does this when it is imported.

    Raises:
        UserError: Another family has the name.
    """
    FAMILIES.add(spec.name, spec)


def trainable(name: str) -> tuple[ModelSpec, str]:
    """The specification of a family or predictor and the preset that a training asks for.

    Raises:
        UserError: No family or predictor has such a preset.
    """
    specs = [registry.get(one) for registry in (FAMILIES, PREDICTORS) for one in registry.names()]
    for spec in specs:
        if name in spec.presets:
            return spec, name
    known = [preset for spec in specs for preset in spec.presets]
    raise UserError("family", repr(name), "one of " + ", ".join(known))


class Generator(Protocol):
    """Anything that answers a request with crystals; crystal i depends on (seed, i) alone."""

    @property
    def name(self) -> str: ...

    def sample(
        self,
        n: int,
        where: Conditions | None = None,
        seed: int = 0,
        start: int = 0,
        progress: Callable[[int], None] | None = None,
    ) -> Crystals: ...


@dataclass(frozen=True)
class Searcher:
    """A generator without weights.

    Attributes:
        summary: What it does.
        path: Where it is made, ``module:function``.
        citations: Keys of ``citations.CITATIONS``.
    """

    summary: str
    path: str
    citations: tuple[str, ...]

    def make(self) -> Generator:
        """The generator itself."""
        module, _, function = self.path.partition(":")
        made: Generator = getattr(import_module(module), function)()
        return made


SEARCHERS = {
    "pseudo-random": Searcher(
        "random elements at random places at least 1 Å apart: what any filter should refuse",
        "nucleate.search.pseudo_random:PseudoRandom",
        ("pigen",),
    ),
    "random": Searcher(
        "random cells, positions and symmetric crystals with plausible distances and density",
        "nucleate.search.random_search:RandomSearch",
        ("pyxtal",),
    ),
    "substitution": Searcher(
        "ionic and elemental substitution into the known structures of the bundled reference",
        "nucleate.search.substitution:bundled_substitution",
        ("materials_project",),
    ),
}
"""Generators that learn nothing, by name."""


@dataclass(frozen=True)
class ModelEntry:
    """One line of ``nucleate models``: a name that can be asked for, and what it is."""

    name: str
    kind: str
    summary: str
    folder: Path | None = None

    @property
    def stored(self) -> StoredModel:
        """The content of its ``config.json``; empty for a searcher."""
        return StoredModel() if self.folder is None else StoredModel.read(self.folder)

    @property
    def family(self) -> str:
        """Family of its weights; empty for a searcher."""
        return self.stored.family

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of the conditions that it was trained or tuned for; a searcher has none."""
        return self.stored.conditions

    @property
    def citations(self) -> tuple[str, ...]:
        """Keys of the works behind it."""
        if self.folder is None:
            return SEARCHERS[self.name].citations
        return ("pytorch", *(FAMILIES.get(self.family).citations if self.family in FAMILIES else ()))

    def card(self) -> str:
        """The model's card: data, cost and measured quality; the summary for a searcher."""
        if self.folder is None or not (self.folder / CARD).exists():
            return f"# {self.name}\n\n{self.summary}\n"
        return (self.folder / CARD).read_text()


def shipped_models() -> list[ModelEntry]:
    """The models that came with the package, by name."""
    root = Path(str(resources.files("nucleate"))) / "weights"
    folders = sorted(path.parent for path in root.glob(f"*/{CONFIG}"))
    return [_entry(folder, folder.name) for folder in folders]


def list_models() -> list[ModelEntry]:
    """Everything that has a name: models and predictors first, then searchers."""
    return [*shipped_models(), *(ModelEntry(name, "searcher", one.summary) for name, one in SEARCHERS.items())]


def find_model(name: str) -> ModelEntry:
    """The entry of a name or of a model folder.

    Raises:
        UserError: There is neither; the message lists the known names.
    """
    entries = {entry.name: entry for entry in list_models()}
    if name in entries:
        return entries[name]
    folder = Path(name)
    if (folder / CONFIG).exists():
        return _entry(folder, name)
    if folder.is_dir():
        raise UserError(str(folder), f"no {CONFIG} in it", f"a model folder with {WEIGHTS} and {CONFIG}")
    raise UserError("model", repr(name), f"one of {', '.join(entries)}, or the folder of a model")


def load_generator(name: str, device: str = "cpu", sampler: str = "default", guidance: Sequence[str] = ()) -> Generator:
    """Make the generator of a name or model folder ready to sample.

    Arguments:
        name: Of the model or searcher, or its folder.
        device: To compute on.
        sampler: "default", "paper", or settings of the model's family as NAME=VALUE,...
        guidance: γ of every condition, or ``NAME=γ`` of some; the model's own where nothing is said.

    Raises:
        UserError: The name is unknown, the weights are not what their configuration says, or there is no such sampler.
    """
    for option, value in (("--sampler", "" if sampler == "default" else sampler), ("--guidance", ", ".join(guidance))):
        if name in SEARCHERS and value:
            raise UserError(option, repr(value), f"no {option}, since {name} runs no reverse diffusion")
    if name in SEARCHERS:
        return SEARCHERS[name].make()
    folder = find_model(name).folder
    if folder is None:
        raise UserError("model", repr(name), "a model with weights")
    stored = StoredModel.read(folder)
    check_weights(folder / WEIGHTS, stored.sha256)
    if stored.family in PREDICTORS:
        raise UserError("model", f"{name!r}, a predictor", "a generator; `nucleate predict` asks a predictor")
    if stored.family not in FAMILIES:
        known = f"a family of this Nucleate: {', '.join(FAMILIES.names())}"
        raise UserError(str(folder / CONFIG), f"family {stored.family!r}", known)
    generator: GenerativeModel = FAMILIES.get(stored.family).load(folder, sampler, parse_strengths(guidance))
    if device != "cpu":
        generator.to(device)
    return generator


def check_weights(path: Path, sha256: str | None = None) -> str:
    """SHA-256 of a weights file that is whole.

    Raises:
        UserError: The file is missing, a Git-LFS pointer, cut short, or has another hash than ``sha256``.
    """
    expected = "a complete safetensors file"
    if not path.exists():
        raise UserError(str(path), "no such file", expected)
    size = path.stat().st_size
    with path.open("rb") as handle:
        head = handle.read(8)
        header_length = int.from_bytes(head, "little")
        handle.seek(0)
        if handle.read(len(_LFS_POINTER)) == _LFS_POINTER:
            raise UserError(str(path), "a Git-LFS pointer", "the weights themselves (`git lfs pull` fetches them)")
        handle.seek(8)
        if size < 8 or header_length > size - 8:
            raise UserError(str(path), f"{size} bytes, cut short or of another format", expected)
        try:
            header = json.loads(handle.read(header_length))
            end = max((entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"), default=0)
        except (ValueError, AttributeError, KeyError, TypeError, IndexError):
            raise UserError(str(path), "a file of another format", expected) from None
        if size != 8 + header_length + end:
            raise UserError(str(path), f"{size} bytes", f"{8 + header_length + end} bytes; fetch the file again")
        handle.seek(0)
        found = hashlib.file_digest(handle, "sha256").hexdigest()
    if sha256 is not None and found != sha256:
        raise UserError(str(path), f"SHA-256 {found[:12]}…", f"{sha256[:12]}…; fetch the file again")
    return found


def _entry(folder: Path, name: str) -> ModelEntry:
    stored = StoredModel.read(folder)
    kind = "predictor" if stored.family in PREDICTORS else "model"
    return ModelEntry(name, kind, stored.summary or f"{stored.family or 'unknown'} model", folder)
