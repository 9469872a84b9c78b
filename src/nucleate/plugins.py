"""Extensions by others: modules named in ``NUCLEATE_PLUGINS``, entry points of packages, and registries of both.

A plugin is a module that registers what it brings when it is imported. Worker processes inherit the variable, so they
know the same extensions. Files of models or runs never name a module: only the user's environment does.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from functools import cache
from importlib import import_module, metadata
from pkgutil import iter_modules
from typing import Generic, TypeVar, cast

from nucleate.errors import UserError

VARIABLE = "NUCLEATE_PLUGINS"
Thing = TypeVar("Thing")


def load_plugins() -> None:
    """Import the modules that the environment names, each once.

    Raises:
        UserError: A module is not there or fails; every later call says so again.
    """
    for name in os.environ.get(VARIABLE, "").split(","):
        if name.strip():
            _load_plugin(name.strip())


@cache
def _load_plugin(name: str) -> None:
    try:
        import_module(name)
    except UserError:
        raise
    except Exception as error:
        found = f"{name!r}: {type(error).__name__}: {error}"
        raise UserError(VARIABLE, found, "modules that Python can import, joined by commas") from error


def modules_in(package: str, attribute: str, folders: bool = False, besides: Collection[str] = ()) -> dict[str, str]:
    """``module:ATTRIBUTE`` by the names of a package's modules, or of its folders; none of them is imported.

    Arguments:
        package: Where they lie.
        attribute: What each of them defines.
        folders: Take folders in place of single modules.
        besides: Modules that define none.
    """
    found = [one for one in iter_modules(import_module(package).__path__) if one.ispkg == folders]
    return {one.name: f"{package}.{one.name}:{attribute}" for one in found if one.name not in besides}


class Registry(Generic[Thing]):
    """Things of one kind by name: our own, those of plugins, and those of installed packages.

    Nothing is imported before it is asked for, so that a list of names costs little.

    Arguments:
        kind: What a thing is called in messages, such as "family".
        group: The entry points that bring more of them, such as ``nucleate.families``.
        own: Where our own lie, ``module:ATTRIBUTE`` by name.
    """

    def __init__(self, kind: str, group: str, own: Mapping[str, str]) -> None:
        self.kind, self.group, self.own = kind, group, own
        self._added: dict[str, Thing] = {}

    def add(self, name: str, thing: Thing) -> None:
        """Register a thing; a plugin does this when it is imported.

        Raises:
            UserError: Something else has the name already.
        """
        if name in self.own or self._added.get(name, thing) is not thing:
            raise UserError(f"{self.kind} {name!r}", "a name that is taken", "a name of its own")
        self._added[name] = thing

    def names(self) -> tuple[str, ...]:
        """All names, our own first."""
        load_plugins()
        return tuple(dict.fromkeys([*self.own, *self._added, *self._entry_points()]))

    def __contains__(self, name: object) -> bool:
        return name in self.names()

    def get(self, name: str) -> Thing:
        """The thing of a name.

        Raises:
            UserError: There is none, or the package that brings it cannot be imported.
        """
        load_plugins()
        if name in self._added:
            return self._added[name]
        if name in self.own:
            module, _, attribute = self.own[name].partition(":")
            return cast(Thing, getattr(import_module(module), attribute))
        points = self._entry_points()
        if name not in points:
            raise UserError(self.kind, repr(name), "one of " + ", ".join(self.names()))
        try:
            return cast(Thing, points[name].load())
        except (ImportError, AttributeError) as error:
            found = f"{points[name].value}, which fails: {error}"
            raise UserError(f"{self.kind} {name!r}", found, "an installed package that works") from error

    def _entry_points(self) -> dict[str, metadata.EntryPoint]:
        return {point.name: point for point in metadata.entry_points(group=self.group)}
