"""What the modules of a source tree declare: functions, classes, their annotations and documents."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, pairwise

from source_tree import Module, SourceTree

BAGS = {"dict", "Dict", "Mapping", "MutableMapping", "defaultdict", "OrderedDict"}
TENSORS = {"Tensor", "LongTensor", "NDArray", "ndarray", "ArrayLike"}
ANYTHING = {"Any", "object"}


@dataclass(frozen=True)
class Declared:
    """A function, method, property or class."""

    module: Module
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    owner: ast.ClassDef | None
    """The class of a method."""
    public: bool
    """Neither it nor its class begins with an underscore, and it stands in no function."""

    @property
    def name(self) -> str:
        return f"{self.owner.name}.{self.node.name}" if self.owner else self.node.name

    @property
    def is_class(self) -> bool:
        return isinstance(self.node, ast.ClassDef)

    @cached_property
    def parameters(self) -> list[ast.arg]:
        """Parameters of a function, ``*args`` and ``**kwargs`` among them, ``self`` and ``cls`` not."""
        arguments = self.node.args
        plain = [*arguments.posonlyargs, *arguments.args]
        static = any(ast.unparse(decorator) == "staticmethod" for decorator in self.node.decorator_list)
        if self.owner and not static:
            plain = plain[1:]
        return [*plain, *arguments.kwonlyargs, *filter(None, (arguments.vararg, arguments.kwarg))]

    @cached_property
    def annotations(self) -> list[ast.expr]:
        """Of parameters and result; of a class, those of its public fields and of its construction."""
        if not self.is_class:
            return list(filter(None, [*(parameter.annotation for parameter in self.parameters), self.node.returns]))
        found = []
        for node in self.node.body:
            if isinstance(node, ast.AnnAssign) and not ast.unparse(node.target).startswith("_"):
                found.append(node.annotation)
            if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                found += Declared(self.module, node, self.node, False).annotations
        return found

    @property
    def document(self) -> str:
        """The docstring; of a class with what its fields say in docstrings and ``help`` or ``description`` texts."""
        texts = [ast.get_docstring(self.node) or ""]
        if self.is_class and texts[0]:
            texts += [text for _, text in below_assignments(self.node)]
            texts += help_texts(*(node for node in self.node.body if isinstance(node, ast.AnnAssign)))
        return "\n".join(texts)


def declared(module: Module) -> Iterator[Declared]:
    """All functions and classes of a module, nested ones too."""

    def below(node: ast.AST, owner: ast.ClassDef | None, public: bool) -> Iterator[Declared]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                shown = public and not child.name.startswith("_")
                yield Declared(module, child, owner if not isinstance(child, ast.ClassDef) else None, shown)
                is_class = isinstance(child, ast.ClassDef)
                yield from below(child, child if is_class else None, shown and is_class)
            else:
                yield from below(child, owner, public)

    return below(module.tree, None, True)


def docstrings(module: Module) -> Iterator[tuple[int, str]]:
    """Line and text of every docstring: of the module, of classes and functions, and below assignments."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield node.body[0].lineno, text
        if isinstance(node, ast.Module | ast.ClassDef):
            yield from below_assignments(node)


def below_assignments(node: ast.Module | ast.ClassDef) -> Iterator[tuple[int, str]]:
    """Strings that stand below a field or a constant and say what it is."""
    for before, node_below in pairwise(node.body):
        text = node_below.value if isinstance(node_below, ast.Expr) else None
        if isinstance(before, ast.Assign | ast.AnnAssign) and _is_string(text):
            yield text.lineno, text.value


def help_texts(*nodes: ast.AST) -> Iterator[str]:
    """Texts that fields and options carry themselves."""
    for node in chain.from_iterable(map(ast.walk, nodes)):
        if isinstance(node, ast.keyword) and node.arg in ("help", "description") and _is_string(node.value):
            yield node.value.value


class Annotations:
    """Annotations with the names of types (``Row = dict[str, Any]``) replaced by what they stand for."""

    def __init__(self, tree: SourceTree) -> None:
        self._tree = tree
        self._aliases: dict[tuple[str, str], ast.expr] = {}
        self._modules: dict[tuple[str, str], str] = {}
        for module in tree.modules.values():
            for node in module.tree.body:
                if named := _alias(node):
                    self._aliases[module.name, named[0]] = named[1]
        for found in tree.imports:
            if not found.names:
                self._modules[found.importer, found.target.rpartition(".")[2]] = found.target

    def whole(self, declaration: Declared) -> list[ast.expr]:
        """The annotations of a declaration, written out."""
        return [self.written_out(found, declaration.module.name) for found in declaration.annotations]

    def written_out(self, annotation: ast.expr, module: str, depth: int = 0) -> ast.expr:
        """An annotation with names and quoted parts replaced, and the type alone where it is ``Annotated``."""
        return _WriteOut(self, module, depth).visit(ast.parse(ast.unparse(annotation), mode="eval").body)

    def options(self, declaration: Declared) -> Iterator[str]:
        """Help texts that the annotations of a function carry, also under another name."""
        for annotation in declaration.annotations:
            yield from help_texts(annotation)
            named = isinstance(annotation, ast.Name | ast.Attribute)
            if named and (found := self.stands_for(annotation, declaration.module.name)):
                yield from help_texts(found[0])

    def stands_for(self, node: ast.Name | ast.Attribute, module: str) -> tuple[ast.expr, str] | None:
        """What a name of a module stands for, and the module that says so."""
        if isinstance(node, ast.Attribute):
            if not isinstance(node.value, ast.Name):
                return None
            place, name = self._modules.get((module, node.value.id), ""), node.attr
        else:
            place, name = self._tree.definition(module, node.id)
        found = self._aliases.get((place, name))
        return (found, place) if found is not None else None


class _WriteOut(ast.NodeTransformer):
    DEEPEST = 8

    def __init__(self, annotations: Annotations, module: str, depth: int) -> None:
        self._annotations, self._module, self._depth = annotations, module, depth

    def _named(self, node: ast.Name | ast.Attribute) -> ast.expr:
        found = self._annotations.stands_for(node, self._module)
        if found is None or self._depth >= self.DEEPEST:
            return node
        return self._annotations.written_out(*found, depth=self._depth + 1)

    visit_Name = visit_Attribute = _named  # noqa: N815  (names that the transformer looks for)

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        """A type in quotes."""
        return self.visit(ast.parse(node.value, mode="eval").body) if _is_string(node) else node

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        if _last(node.value) == "Annotated" and isinstance(node.slice, ast.Tuple):
            return self.visit(node.slice.elts[0])
        if _last(node.value) == "Literal":
            return node
        return self.generic_visit(node)


def is_bag(annotation: ast.expr) -> bool:
    """It holds a dictionary whose values may be anything."""
    typed = set()
    for node in ast.walk(annotation):
        if isinstance(node, ast.Subscript) and _last(node.value) in BAGS:
            typed.add(node.value)
            values = node.slice.elts[-1] if isinstance(node.slice, ast.Tuple) else node.slice
            if ANYTHING & {_last(part) for part in _alternatives(values)}:
                return True
    return any(_last(node) in BAGS and node not in typed for node in ast.walk(annotation))


def holds_tensor(annotation: ast.expr) -> bool:
    """It holds a tensor or an array; a function of tensors is none, nor are tensors by name, which have many shapes."""
    return any(_last(node) in TENSORS for node in _values(annotation, named=False))


def holds_float(annotation: ast.expr) -> bool:
    """It holds a real number outside an array; a function of numbers is none."""
    return any(_last(node) == "float" for node in _values(annotation))


def _values(node: ast.AST, named: bool = True) -> Iterator[ast.AST]:
    if isinstance(node, ast.Subscript) and _last(node.value) in ("Callable", "Literal", "type"):
        return
    if not named and ast.unparse(node).startswith(tuple(f"{bag}[str, " for bag in BAGS)):
        return
    if isinstance(node, ast.Subscript) and _last(node.value) in TENSORS:
        yield node.value
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _values(child, named)


def _alternatives(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.BinOp):
        yield from _alternatives(node.left)
        yield from _alternatives(node.right)
    else:
        yield node


def _is_string(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _last(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _alias(node: ast.stmt) -> tuple[str, ast.expr] | None:
    """Name and meaning of a type that a statement names, ``Row = dict[str, Any]`` or ``type Row = ...``."""
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        name, value = node.targets[0], node.value
    elif isinstance(node, ast.AnnAssign) and _last(node.annotation) == "TypeAlias" and node.value:
        name, value = node.target, node.value
    elif isinstance(node, getattr(ast, "TypeAlias", ())):
        name, value = node.name, node.value
    else:
        return None
    is_type = isinstance(value, ast.Name | ast.Attribute | ast.Subscript | ast.BinOp)
    return (name.id, value) if isinstance(name, ast.Name) and is_type else None
