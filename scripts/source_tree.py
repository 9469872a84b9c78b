"""The sources of a package as a graph: modules, their imports, circles and layers; nothing is imported."""

from __future__ import annotations

import ast
import tomllib
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

Graph = dict[str, set[str]]


@dataclass(frozen=True)
class Import:
    """One module importing another, which lies in the package or is named by its distribution (``torch``)."""

    importer: str
    target: str
    names: tuple[tuple[str, str], ...]
    """Names taken from the target, and what they are called here; none where it is imported itself."""
    line: int
    local: bool
    """It stands in a function."""
    checking: bool
    """It stands under ``if TYPE_CHECKING``: no import when the program runs."""


@dataclass(frozen=True)
class Offender:
    """A place in the sources, and what is to be done there."""

    path: Path
    line: int
    what: str


@dataclass(frozen=True)
class Module:
    """A parsed file of the package."""

    name: str
    path: Path
    """Below the repository."""
    text: str
    tree: ast.Module

    @property
    def is_package(self) -> bool:
        return self.path.name == "__init__.py"

    @property
    def is_docstring_only(self) -> bool:
        """An ``__init__.py`` that only says what its folder is."""
        return self.is_package and all(
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in self.tree.body
        )

    @property
    def lines(self) -> int:
        return len(self.text.splitlines())


@dataclass(frozen=True)
class Layers:
    """A layered contract of import-linter: lines from the top, each of siblings that are independent or not."""

    containers: tuple[str, ...]
    lines: tuple[tuple[frozenset[str], bool], ...]
    """Names of a line, and whether they may import each other."""
    exhaustive: bool


class SourceTree:
    """The one package below ``src`` of a repository, with the settings of its ``pyproject.toml``.

    Raises:
        ValueError: ``src`` does not hold exactly one package.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        packages = sorted(path.parent for path in (root / "src").glob("*/__init__.py"))
        if len(packages) != 1:
            raise ValueError(f"{root / 'src'}: {len(packages)} packages where one is expected")
        self.source = packages[0]
        self.package = self.source.name
        self.project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
        self.modules = {module.name: module for module in map(self._read, sorted(self.source.rglob("*.py")))}

    def _read(self, path: Path) -> Module:
        parts = path.relative_to(self.source.parent).with_suffix("").parts
        text = path.read_text(encoding="utf-8")
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        return Module(name, path.relative_to(self.root), text, ast.parse(text))

    @cached_property
    def imports(self) -> list[Import]:
        """All imports, in the order of the sources."""
        return [found for module in self.modules.values() for found in self._imports(module, module.tree, False, False)]

    def _imports(self, module: Module, node: ast.AST, local: bool, checking: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                for alias in child.names:
                    yield Import(module.name, self._nearest(alias.name), (), child.lineno, local, checking)
            elif isinstance(child, ast.ImportFrom):
                yield from self._from_imports(module, child, local, checking)
            elif isinstance(child, ast.Call) and (name := _imported_by_name(child)):
                yield Import(module.name, self._nearest(name), (), child.lineno, local, checking)
            elif isinstance(child, ast.If) and _asks_type_checking(child.test):
                yield from self._imports(module, ast.Module(child.body, []), local, True)
                yield from self._imports(module, ast.Module(child.orelse, []), local, checking)
            else:
                inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
                yield from self._imports(module, child, local or inside, checking)

    def _from_imports(self, module: Module, node: ast.ImportFrom, local: bool, checking: bool) -> Iterator[Import]:
        base = node.module or ""
        if node.level:
            parents = module.name.split(".")
            parents = parents[: len(parents) - node.level + module.is_package]
            base = ".".join([*parents, *([base] if base else [])])
        taken: dict[str, list[tuple[str, str]]] = {}
        for alias in node.names:
            if f"{base}.{alias.name}" in self.modules:
                taken.setdefault(f"{base}.{alias.name}", [])
            else:
                taken.setdefault(self._nearest(base), []).append((alias.name, alias.asname or alias.name))
        for target, names in taken.items():
            yield Import(module.name, target, tuple(names), node.lineno, local, checking)

    def _nearest(self, name: str) -> str:
        """The module of the package that holds a dotted name, or the top of a foreign one."""
        if name.split(".")[0] != self.package:
            return name.split(".")[0]
        while name not in self.modules:
            name = name.rpartition(".")[0]
        return name

    def graph(self, local: bool) -> Graph:
        """Imports inside the package as the program runs, with or without those inside functions."""
        edges: Graph = {name: set() for name in self.modules}
        for found in self.imports:
            if found.target in self.modules and not found.checking and (local or not found.local):
                edges[found.importer].add(found.target)
        return edges

    def loaded(self) -> Graph:
        """What each module loads at once: its imports at module level, and the packages that these lie in."""
        edges: Graph = {name: set() for name in self.modules}
        for found in self.imports:
            if not found.checking and not found.local:
                edges[found.importer] |= {found.target, *self.above(found.target)}
        return edges

    def above(self, name: str) -> set[str]:
        """The packages in which a module of the package lies."""
        parts = name.split(".")
        return {".".join(parts[:n]) for n in range(1, len(parts))} & self.modules.keys()

    def definition(self, module: str, name: str) -> tuple[str, str]:
        """Where what ``module`` calls ``name`` comes from, through any re-exports: a module, and the name there."""
        seen: set[tuple[str, str]] = set()
        while (module, name) in self._bound and (module, name) not in seen:
            seen.add((module, name))
            module, name = self._bound[module, name]
        return module, name

    @cached_property
    def _bound(self) -> dict[tuple[str, str], tuple[str, str]]:
        return {(found.importer, here): (found.target, name) for found in self.imports for name, here in found.names}

    def layers(self) -> list[Layers]:
        """The layered contracts of the import linter."""
        contracts = self.project.get("tool", {}).get("importlinter", {}).get("contracts", [])
        return [_layers(contract) for contract in contracts if contract["type"] == "layers"]

    def breaches(self) -> Iterator[Offender]:
        """Imports from a higher layer, or from an independent sibling, and names that no layer holds.

        Imports inside functions count; exceptions that the contract grants count too. Those under ``TYPE_CHECKING``
        count unless the linter is told otherwise, as for the linter.
        """
        for contract in self.layers():
            for container in contract.containers or ("",):
                yield from self._breaches(contract, container)

    def _breaches(self, contract: Layers, container: str) -> Iterator[Offender]:
        checking = not self.project["tool"]["importlinter"].get("exclude_type_checking_imports", False)
        rank = {name: i for i, (names, _) in enumerate(contract.lines) for name in names}
        if contract.exhaustive and container:
            for name in sorted({_below(module, container) for module in self.modules} - rank.keys() - {""}):
                holder = self.modules[f"{container}.{name}"]
                yield Offender(holder.path, 1, f"{container}.{name} is in no layer")
        for found in self.imports:
            upper, lower = _layer(found.importer, container, rank), _layer(found.target, container, rank)
            if upper == lower or upper is None or lower is None or (found.checking and not checking):
                continue
            if rank[upper] > rank[lower] or (rank[upper] == rank[lower] and not contract.lines[rank[upper]][1]):
                place = " in a function" if found.local else ""
                where = self.modules[found.importer].path
                yield Offender(where, found.line, f"{upper} imports {found.target}{place}; {lower} is no lower layer")


def reachable(graph: Graph, start: str) -> set[str]:
    """All that a node leads to; the node itself where it lies on a circle."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        news = graph.get(waiting.pop(), set()) - found
        found |= news
        waiting += news
    return found


def circles(graph: Graph) -> list[set[str]]:
    """Sets of nodes that lead to each other, the largest first."""
    reached = {node: reachable(graph, node) for node in graph}
    groups = {frozenset(m for m in reached[n] if n in reached[m]) for n in graph if n in reached[n]}
    return sorted((set(group) for group in groups), key=lambda group: (-len(group), min(group)))


def shortest_circles(graph: Graph, group: Collection[str]) -> Iterator[list[str]]:
    """Circles in a group that share no edge, each as short as its first edge allows; without them there is none."""
    edges = {node: graph[node] & set(group) for node in group}
    for first in sorted(edges):
        for second in sorted(edges[first]):
            if second not in edges[first] or not (back := _path(edges, second, first)):
                continue
            circle = [first, *back]
            for one, other in pairwise(circle):
                edges[one] = edges[one] - {other}
            yield circle


def _path(graph: Graph, start: str, end: str) -> list[str]:
    """The shortest way from one node to another, both of them included; empty where there is none."""
    before = {start: ""}
    waiting = deque([start])
    while waiting and end not in before:
        node = waiting.popleft()
        for following in sorted(graph[node] - before.keys()):
            before[following] = node
            waiting.append(following)
    way = []
    while end in before:
        way.append(end)
        end = before[end]
    return way[::-1]


def _layers(contract: dict[str, object]) -> Layers:
    lines = []
    for line in contract["layers"]:
        names = [name.strip(" ()") for name in line.replace("|", ":").split(":")]
        lines.append((frozenset(names), "|" not in line))
    return Layers(tuple(contract.get("containers", ())), tuple(lines), bool(contract.get("exhaustive", False)))


def _below(module: str, container: str) -> str:
    """The name in the container that a module belongs to."""
    return module.removeprefix(f"{container}.").split(".")[0] if module.startswith(f"{container}.") else ""


def _layer(module: str, container: str, rank: dict[str, int]) -> str | None:
    if container:
        name = _below(module, container)
        return name if name in rank else None
    return next((name for name in rank if module == name or module.startswith(f"{name}.")), None)


def _asks_type_checking(test: ast.expr) -> bool:
    return ast.unparse(test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")


def _imported_by_name(call: ast.Call) -> str:
    """The module that ``import_module("...")`` names, where it is written out."""
    if ast.unparse(call.func) in ("import_module", "importlib.import_module") and call.args:
        named = call.args[0]
        if isinstance(named, ast.Constant) and isinstance(named.value, str):
            return named.value
    return ""
