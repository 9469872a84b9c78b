"""Measure how the sources are built: sizes, imports, signatures, docstrings, words and tests, each against its target.

    python scripts/house.py [--json] [--list MEASURE] [--gate] [--time-help] [--root FOLDER]

Everything is read from the sources of the one package below ``src`` and from ``pyproject.toml``; nothing is imported,
except that ``--time-help`` starts the command line. ``--list`` prints each offender of a measure as
``path:line: what``. ``--gate`` ends with 1 where there are circles or breaches of the layers, and for nothing else.

How is counted:

modules     All .py files. Beside it, without ``__init__.py`` that only say what their folder is.
campaign    Files of the fullest folder in ``campaign/``, those ``__init__.py`` left out.
circles     Sets of modules that import each other, inside one folder or across, imports under ``TYPE_CHECKING`` left
            out. First those at module level, then with imports inside functions. The offenders are circles that share
            no import: without them no circle is left.
layers      The layered contracts of import-linter, imports inside functions included, exceptions not granted.
small       Modules under 50 lines that only one module imports, which lies in the same folder. A name that a package
            passes on counts for whoever takes it from there.
bags        Functions, nested ones included, with a parameter or result that holds a dictionary without types of its
            values: bare ``dict`` or ``Mapping``, or with values ``Any`` or ``object``; names such as
            ``Row = dict[str, Any]`` are looked through.
parameters  Functions with eight or more parameters, ``*args`` and ``**kwargs`` among them, ``self`` and ``cls`` not.
local       Import statements inside functions. Left out are those that keep ``--help`` fast: in a module that the
            entry point loads, of a module that loads one of HEAVY when it is imported.
shapes      Public functions, methods, properties and classes that have a docstring and a tensor or array among their
            parameters, results or fields (tensors by name, ``dict[str, Tensor]``, are none); met where the docstring
            names a shape, such as (B, N, 3).
units       The same for real numbers (float outside of arrays) and a unit, or a word that says there is none (a share,
            a ratio). The texts of fields and options count as part of the docstring.
openings    Docstrings that begin with "What" or "Of".
words       Words in place of which the field has one of its own, in names and docstrings (PRIVATE), or in names alone
            (PRIVATE_NAMES). Names are those of modules, classes, functions, parameters, fields and constants.
mirrors     tests/FOLDER/test_MODULE.py or test_MODULE_ASPECT.py for src/PACKAGE/FOLDER/MODULE.py, test_init.py for
            ``__init__.py``, and tests/scripts for scripts/; places of other tests are declared in ELSEWHERE.
comments    Comments in a hundred lines, those for linters left out.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from declarations import Annotations, Declared, declared, docstrings, holds_float, holds_tensor, is_bag
from source_tree import Module, Offender, SourceTree, circles, reachable, shortest_circles
from wording import PRIVATE, PRIVATE_NAMES, comments_in, names_shape, names_unit, private_words, spoken

HEAVY = {"torch", "pandas", "pyarrow", "matplotlib", "pymatgen", "ase", "chgnet", "scipy"}
LONGEST, SMALL, MANY = 400, 50, 8
GATES = ("circles", "local-circles", "layers")

ELSEWHERE = {
    "": "rules and documents of the whole repository",
    "cli": "commands as a user types them, through all modules",
    "contracts": "laws that every implementation is put through",
    "regression": "outputs kept at fixed seeds, through all modules",
}
"""Folders of tests that mirror no module, and why."""


@dataclass(frozen=True)
class Measure:
    """One number of the tree, and where it comes from."""

    key: str
    label: str
    value: float
    target: float | None = None
    unit: str = ""
    at_least: bool = False
    beside: str = ""
    offenders: list[Offender] = field(default_factory=list)

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        if self.target is None:
            return None
        return self.value >= self.target if self.at_least else self.value <= self.target


class House:
    """The measures of a repository's sources.

    Raises:
        ValueError: There is not exactly one package below ``src``.
    """

    def __init__(self, root: Path) -> None:
        self.tree = SourceTree(root)
        self.modules = list(self.tree.modules.values())
        self.declared = [found for module in self.modules for found in declared(module)]
        self.functions = [found for found in self.declared if not found.is_class]
        self.annotations = Annotations(self.tree)

    def measures(self) -> list[Measure]:
        """All of them, in the order of the table."""
        return [
            self.sizes(),
            self.campaign(),
            self.long(),
            self.circles(local=False),
            self.circles(local=True),
            self.layers(),
            self.small(),
            self.bags(),
            self.parameters(),
            self.local_imports(),
            self.documents("shapes", "public docstrings with tensors that name a shape", holds_tensor, names_shape),
            self.documents("units", "public docstrings with numbers that name a unit", holds_float, names_unit),
            self.openings(),
            self.words(),
            self.mirrors(),
            self.comments(),
        ]

    def sizes(self) -> Measure:
        bare = sum(module.is_docstring_only for module in self.modules)
        beside = f"{len(self.modules) - bare} without bare __init__.py"
        folders = Counter(str(module.path.parent) for module in self.modules)
        listed = [Offender(Path(folder), 1, f"{n} modules") for folder, n in folders.most_common()]
        return Measure("modules", "modules", len(self.modules), 220, beside=beside, offenders=listed)

    def campaign(self) -> Measure:
        place = self.tree.source.relative_to(self.tree.root) / "campaign"
        counted = [module.path.parent for module in self.modules if not module.is_docstring_only]
        inside = Counter(folder for folder in counted if folder == place or place in folder.parents)
        folder, n = max(inside.items(), key=lambda item: item[1], default=(place, 0))
        above = [Offender(folder, 1, f"{count} files") for folder, count in inside.items() if count > 12]
        return Measure("campaign", "files in a folder of campaign/, most", n, 12, beside=str(folder), offenders=above)

    def long(self) -> Measure:
        found = [Offender(m.path, LONGEST + 1, f"{m.lines} lines") for m in self.modules if m.lines > LONGEST]
        longest = max((module.lines for module in self.modules), default=0)
        label = f"modules above {LONGEST} lines"
        return Measure("long", label, len(found), 0, beside=f"longest {longest}", offenders=found)

    def circles(self, local: bool) -> Measure:
        graph, plain = self.tree.graph(local), self.tree.graph(local=False)
        groups = [group for group in circles(graph) if not local or group not in circles(plain)]
        place: dict[tuple[str, str], int] = {}
        for found in self.tree.imports:
            if not found.checking and (local or not found.local):
                place.setdefault((found.importer, found.target), found.line)
        inside = {(one, other) for one, other in place if other not in plain[one]}
        offenders = []
        for group in groups:
            for circle in shortest_circles(graph, group):
                first = next((i for i, edge in enumerate(pairwise(circle)) if edge in inside), 0)
                circle = [*circle[first:-1], *circle[: first + 1]]
                way = " -> ".join(name.removeprefix(f"{self.tree.package}.") for name in circle)
                path = self.tree.modules[circle[0]].path
                offenders.append(Offender(path, place[circle[0], circle[1]], f"{way} (among {len(group)} modules)"))
        key, label = ("local-circles", "with imports in functions") if local else ("circles", "at module level")
        beside = f"{sum(map(len, groups))} modules in them"
        return Measure(key, f"import circles {label}", len(groups), 0, beside=beside, offenders=offenders)

    def layers(self) -> Measure:
        found = list(self.tree.breaches())
        contracts = self.tree.project.get("tool", {}).get("importlinter", {}).get("contracts", [])
        granted = sum(len(contract.get("ignore_imports", ())) for contract in contracts)
        beside = f"{granted} exceptions granted to the linter" if self.tree.layers() else "no contract"
        return Measure("layers", "imports against the layers", len(found), 0, beside=beside, offenders=found)

    def small(self) -> Measure:
        importers: dict[str, set[str]] = {module.name: set() for module in self.modules}
        for found in self.tree.imports:
            passed_on = {self.tree.definition(found.target, name)[0] for name, _ in found.names}
            for target in {found.target, *passed_on} & importers.keys() - {found.importer}:
                importers[target].add(found.importer)
        offenders = []
        for module in self.modules:
            users = {name for name in importers[module.name] if not self._passes_on(name, module.name)}
            if module.is_package or module.lines >= SMALL or len(users) != 1:
                continue
            neighbour = self.tree.modules[users.pop()]
            if neighbour.path.parent == module.path.parent:
                offenders.append(Offender(module.path, 1, f"{module.lines} lines, only for {neighbour.path.name}"))
        label = f"modules under {SMALL} lines for one neighbour"
        return Measure("small", label, len(offenders), 0, offenders=offenders)

    def _passes_on(self, package: str, module: str) -> bool:
        """The package only holds the module's names for others."""
        return self.tree.modules[package].is_package and package in self.tree.above(module)

    def bags(self) -> Measure:
        found = [self._at(f) for f in self.functions if any(map(is_bag, self.annotations.whole(f)))]
        return self._share("bags", "functions with dictionaries of anything", found, len(self.functions), 2)

    def parameters(self) -> Measure:
        found = [self._at(f, f" has {len(f.parameters)}") for f in self.functions if len(f.parameters) >= MANY]
        return Measure("parameters", f"functions with {MANY} or more parameters", len(found), 10, offenders=found)

    def local_imports(self) -> Measure:
        loaded = self.tree.loaded()
        entry = [place.split(":")[0] for place in self.tree.project["project"].get("scripts", {}).values()]
        shown = {*entry, *(name for start in entry for name in self.tree.above(start) | reachable(loaded, start))}
        heavy = HEAVY | {module for module in self.tree.modules if reachable(loaded, module) & HEAVY}
        statements: dict[tuple[str, int], set[str]] = {}
        for found in self.tree.imports:
            if found.local and not found.checking:
                statements.setdefault((found.importer, found.line), set()).add(found.target)
        offenders, lazy = [], 0
        for (importer, line), targets in statements.items():
            if importer in shown and any({target, *self.tree.above(target)} & heavy for target in targets):
                lazy += 1
            else:
                offenders.append(
                    Offender(self.tree.modules[importer].path, line, f"imports {', '.join(sorted(targets))}")
                )
        beside = f"{len(statements)} in all, {lazy} keep --help fast"
        return Measure("local", "imports inside functions", len(offenders), 60, beside=beside, offenders=offenders)

    def documents(
        self, key: str, label: str, concerns: Callable[[ast.expr], bool], named: Callable[[str], bool]
    ) -> Measure:
        without, missing, n = 0, [], 0
        for found in self.declared:
            if not found.public or not any(map(concerns, self.annotations.whole(found))):
                continue
            if not ast.get_docstring(found.node):
                without += 1
                continue
            n += 1
            texts = [found.document, *(() if found.is_class else self.annotations.options(found))]
            if not named("\n".join(texts)):
                missing.append(self._at(found))
        value = 100 * (1 - len(missing) / n) if n else 100.0
        beside = f"{n - len(missing)} of {n}; {without} more have no docstring"
        return Measure(key, label, value, 90, "%", at_least=True, beside=beside, offenders=missing)

    def openings(self) -> Measure:
        found = [
            Offender(module.path, line, text.splitlines()[0])
            for module in self.modules
            for line, text in docstrings(module)
            if re.match(r"(What|Of)\b", text)
        ]
        return Measure("openings", 'docstrings that begin with "What" or "Of"', len(found), 0, offenders=found)

    def words(self) -> Measure:
        found, counts = [], Counter()
        for module in self.modules:
            texts = [(line, f"name {name}", spoken(name), PRIVATE | PRIVATE_NAMES) for line, name in _names(module)]
            texts += [(line, "docstring", text, PRIVATE) for line, text in docstrings(module)]
            for line, what, text, table in texts:
                for at, word, term in private_words(text, table):
                    found.append(Offender(module.path, line + at, f"{what}: {word} -> {term}"))
                    counts[word.lower()] += 1
        most = ", ".join(f"{word} {n}" for word, n in counts.most_common(4))
        return Measure("words", "private words in names and docstrings", len(found), 0, beside=most, offenders=found)

    def mirrors(self) -> Measure:
        found, exempt, n = [], 0, 0
        for path in sorted((self.tree.root / "tests").rglob("test_*.py")):
            folder = path.parent.relative_to(self.tree.root / "tests")
            if (folder.parts[0] if folder.parts else "") in ELSEWHERE:
                exempt += 1
                continue
            n += 1
            if not self._mirrored(folder, path.stem.removeprefix("test_")):
                found.append(Offender(path.relative_to(self.tree.root), 1, f"no module of its name in {folder}"))
        value = 100 * (1 - len(found) / n) if n else 100.0
        beside = f"{n - len(found)} of {n} files; {exempt} elsewhere by rule"
        label = "test files that mirror a module"
        return Measure("mirrors", label, value, 100, "%", at_least=True, beside=beside, offenders=found)

    def _mirrored(self, folder: Path, name: str) -> bool:
        sources = self.tree.root / folder if folder.parts[0] == "scripts" else self.tree.source / folder
        stems = [path.stem.strip("_") for path in sources.glob("*.py")]
        return any(name == stem or name.startswith(f"{stem}_") for stem in stems)

    def comments(self) -> Measure:
        counted = sum(comments_in(module.text) for module in self.modules)
        lines = sum(module.lines for module in self.modules)
        value = 100 * counted / lines if lines else 0.0
        return Measure("comments", "comments in a hundred lines", value, beside=f"{counted} in {lines} lines")

    @staticmethod
    def _at(found: Declared, what: str = "") -> Offender:
        return Offender(found.module.path, found.node.lineno, found.name + what)

    @staticmethod
    def _share(key: str, label: str, found: list[Offender], n: int, target: float) -> Measure:
        value = 100 * len(found) / n if n else 0.0
        return Measure(key, label, value, target, "%", beside=f"{len(found)} of {n}", offenders=found)


def help_time(root: Path, runs: int = 5) -> Measure:
    """Shortest time in seconds in which the command line shows its help, of several runs."""
    script = SourceTree(root).project["project"]["scripts"]
    module, function = next(iter(script.values())).split(":")
    program = [sys.executable, "-c", f"import sys; from {module} import {function} as f; sys.exit(f())", "--help"]
    environment = {**os.environ, "PYTHONPATH": str(root / "src")}
    times = []
    for _ in range(runs):
        before, start = os.times(), time.perf_counter()
        subprocess.run(program, env=environment, check=True, stdout=subprocess.DEVNULL)
        after = os.times()
        spent = after.children_user + after.children_system - before.children_user - before.children_system
        times.append((time.perf_counter() - start, spent))
    shortest, spent = min(times)
    beside = f"best of {runs}, {spent:.2f} s on the processor"
    return Measure("help", "time to --help", shortest, 0.5, " s", beside=beside)


def table(measures: Iterable[Measure]) -> str:
    """Measure, value, target, and whether it is met, in columns."""
    rows = [("measure", "", "value", "target", "met", "")]
    for m in measures:
        target = "" if m.target is None else f"{'≥' if m.at_least else '≤'} {m.target:g}{m.unit}"
        met = {None: "", True: "yes", False: "no"}[m.met]
        value = f"{m.value}" if isinstance(m.value, int) else f"{m.value:.2f}" if m.unit == " s" else f"{m.value:.1f}"
        rows.append((m.key, m.label, value + m.unit, target, met, m.beside))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for key, label, value, *rest in rows:
        cells = [key.ljust(widths[0]), label.ljust(widths[1]), value.rjust(widths[2])]
        cells += [cell.ljust(width) for cell, width in zip(rest, widths[3:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def as_json(measures: Iterable[Measure]) -> str:
    """The same as an object of measures by key."""
    keys = ("label", "value", "target", "unit", "at_least", "met", "beside")
    held = {m.key: {**{key: getattr(m, key) for key in keys}, "offenders": len(m.offenders)} for m in measures}
    return json.dumps(held, indent=2, ensure_ascii=False)


def _names(module: Module) -> Iterator[tuple[int, str]]:
    """Line and name of whatever a module declares, itself included, each name once."""
    found = {module.name.rpartition(".")[2]: 1}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.setdefault(node.name, node.lineno)
        if isinstance(node, ast.arg):
            found.setdefault(node.arg, node.lineno)
        if isinstance(node, ast.Module | ast.ClassDef):
            for statement in node.body:
                targets = (
                    statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
                )
                for target in targets:
                    if isinstance(target, ast.Name):
                        found.setdefault(target.id, statement.lineno)
    return ((line, name) for name, line in found.items())


def main(arguments: list[str] | None = None) -> int:
    """Print the table, the offenders of a measure, or JSON; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    parser.add_argument("--list", metavar="MEASURE", help="print each offender of a measure")
    parser.add_argument("--gate", action="store_true", help="end with 1 for circles and breaches of the layers")
    parser.add_argument("--time-help", action="store_true", help="also start the command line and take its time")
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parents[1], help="the repository")
    options = parser.parse_args(arguments)
    measures = House(options.root).measures() + ([help_time(options.root)] if options.time_help else [])
    by_key = {measure.key: measure for measure in measures}
    if options.list and options.list not in by_key:
        parser.error(f"--list {options.list}: one of {', '.join(by_key)}")
    if options.list:
        for offender in by_key[options.list].offenders:
            print(f"{offender.path}:{offender.line}: {offender.what}")
    else:
        print(as_json(measures) if options.json else table(measures))
    return int(options.gate and any(by_key[key].offenders for key in GATES))


if __name__ == "__main__":
    sys.exit(main())
