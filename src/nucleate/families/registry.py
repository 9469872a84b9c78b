"""Models by name: those that ship with the package, model folders, and the searchers; read back and ready to sample."""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from torch import nn

from nucleate.errors import UserError
from nucleate.guidance.classifier_free import parse_strengths
from nucleate.settings import AnySettings, Settings
from nucleate.training.export import CONFIG, load_weights, stored_config

if TYPE_CHECKING:
    from nucleate.conditions.request import Conditions
    from nucleate.crystal.crystals import Crystals

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


AnyModel = TypeVar("AnyModel", bound=nn.Module)


def loaded(
    model: Callable[[AnySettings, str], AnyModel],
    config: type[AnySettings],
    family: str,
    folder: Path,
    sampler: str,
    paper: Settings,
) -> AnyModel:
    """The model of a folder, ready to sample.

    Arguments:
        model: Makes one from configuration and name.
        config: Class of the configuration, whose ``sampler`` is the default.
        family: Whose model the folder should hold.
        folder: With weights and configuration.
        sampler: See :func:`nucleate.families.registry.sampler_from`.
        paper: The family's published sampler.

    Raises:
        UserError: Configuration or weights are missing or damaged, or do not fit each other; no such sampler.
    """
    stored = stored_config(folder, family)
    values = config.checked(stored.get("config", {}), where=str(folder / CONFIG)).model_dump()
    how = sampler_from(sampler, type(paper).checked(values["sampler"]), paper)
    settings = config.checked(values | {"sampler": how.model_dump()}, where="--sampler")
    made = model(settings, str(stored.get("name", folder.name)))
    load_weights(made, folder)
    return made.eval()


WEIGHTS, CARD = "model.safetensors", "card.md"
SEARCHERS = {
    "pseudo-random": "random elements at random places at least 1 Å apart: what any filter should refuse",
    "random": "random cells, positions and symmetric crystals with plausible distances and density",
    "substitution": "ionic and elemental substitution into the known structures of the bundled reference",
}
PREDICTORS = {"gemnet_property": "gemnet", "property_cnn": "property_cnn"}
"""Package of ``nucleate.predictors`` behind each kind of predictor, as its configuration names it."""
_LFS_POINTER = b"version https://git-lfs"


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
class ModelEntry:
    """One line of ``nucleate models``: a name that can be asked for, and what it is."""

    name: str
    kind: str
    summary: str
    folder: Path | None = None

    @property
    def family(self) -> str:
        """Family of its weights; empty for a searcher."""
        return "" if self.folder is None else str(read_config(self.folder).get("family"))

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of the conditions that it was trained or tuned for; a searcher has none."""
        if self.folder is None:
            return ()
        config = read_config(self.folder).get("config", {})
        learned = [*config.get("conditions", ()), *config.get("adapters", ())]
        return tuple(str(condition["name"]) for condition in learned)

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
    return [*shipped_models(), *(ModelEntry(name, "searcher", text) for name, text in SEARCHERS.items())]


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
            raise UserError(option, repr(value), f"no {option}, since {name} walks nothing back")
    if name == "pseudo-random":
        from nucleate.search.pseudo_random import PseudoRandom

        return PseudoRandom()
    if name == "random":
        from nucleate.search.random_search import RandomSearch

        return RandomSearch()
    if name == "substitution":
        from nucleate.data.reference import Reference
        from nucleate.search.substitution import Substitution

        return Substitution(Reference.load("bundled").structures)
    entry = find_model(name)
    if entry.folder is None:
        raise UserError("model", repr(name), "a model with weights")
    config = read_config(entry.folder)
    check_weights(entry.folder / WEIGHTS, config.get("sha256"))
    family = config.get("family")
    if family in PREDICTORS:
        raise UserError("model", f"{name!r}, a predictor", "a generator; `nucleate predict` asks a predictor")
    try:
        module = importlib.import_module(f"nucleate.families.{family}")
    except ModuleNotFoundError:
        raise UserError(str(entry.folder / CONFIG), f"family {family!r}", "a family of this Nucleate") from None
    generator = module.load(entry.folder, sampler, parse_strengths(guidance))
    if device != "cpu":
        generator.to(device)
    return generator


def read_config(folder: Path) -> dict[str, Any]:
    """The ``config.json`` of a model folder.

    Raises:
        UserError: It is not a JSON object.
    """
    path = folder / CONFIG
    try:
        config = json.loads(path.read_text())
    except ValueError:
        raise UserError(str(path), "text that is not JSON", "the configuration of a model") from None
    if not isinstance(config, dict):
        raise UserError(str(path), f"a JSON {type(config).__name__}", "a JSON object")
    return config


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
    config = read_config(folder)
    family = config.get("family", "unknown")
    kind = "predictor" if family in PREDICTORS else "model"
    return ModelEntry(name, kind, str(config.get("summary", f"{family} model")), folder)
