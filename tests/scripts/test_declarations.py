"""Functions, annotations and documents of small modules."""

import ast

import pytest
from declarations import Annotations, declared, docstrings, holds_float, holds_tensor, is_bag
from source_tree import SourceTree


def tree_of(folder, **files):
    (folder / "pyproject.toml").write_text("", encoding="utf-8")
    (folder / "src" / "house").mkdir(parents=True)
    for name, text in {"__init__": "", **files}.items():
        (folder / "src" / "house" / f"{name}.py").write_text(text, encoding="utf-8")
    return SourceTree(folder)


def parsed(text):
    return ast.parse(text, mode="eval").body


@pytest.mark.parametrize(
    "text",
    [
        "dict",
        "Mapping",
        "dict[str, Any]",
        "list[dict[str, Any]]",
        "Mapping[str, object] | None",
        "dict[str, Any | None]",
        "dict[str, dict]",
        "Callable[[dict[str, Any]], None]",
        "typing.Dict[str, typing.Any]",
    ],
)
def test_bags(text):
    assert is_bag(parsed(text))


@pytest.mark.parametrize(
    "text", ["dict[str, float]", "Mapping[str, Tensor]", "Any", "list[Any]", "dict[str, list[int]]"]
)
def test_no_bags(text):
    assert not is_bag(parsed(text))


@pytest.mark.parametrize(
    ("text", "tensor", "number"),
    [
        ("Tensor", True, False),
        ("NDArray[np.float64] | None", True, False),
        ("tuple[torch.Tensor, float]", True, True),
        ("Sequence[float]", False, True),
        ("Callable[[Tensor], float]", False, False),
        ("int", False, False),
        ("dict[str, Tensor]", False, False),
        ("dict[int, Tensor]", True, False),
        ("Mapping[str, float]", False, True),
    ],
)
def test_tensors_and_numbers(text, tensor, number):
    assert (holds_tensor(parsed(text)), holds_float(parsed(text))) == (tensor, number)


def test_names_of_types_are_looked_through(tmp_path):
    tree = tree_of(
        tmp_path,
        types="Row = dict[str, Any]\nRows = list[Row]\nLevel = Annotated[float, Option(help='In eV.')]\n"
        "Loop = list['Loop']",
        again="from house.types import Rows as Table",
        user="from house import types\nfrom house.again import Table\n"
        "def f(a: Table, b: types.Level, c: 'Table | None', d: Literal['Table']) -> types.Loop: ...",
    )
    annotations = Annotations(tree)
    function = next(declared(tree.modules["house.user"]))
    a, b, c, d, result = map(ast.unparse, annotations.whole(function))
    assert (a, b, c, d) == ("list[dict[str, Any]]", "float", "list[dict[str, Any]] | None", "Literal['Table']")
    assert result.startswith("list[list[")
    assert list(annotations.options(function)) == ["In eV."]


CLASS = '''
"""Module."""
limit = 3
"""Constant."""
class Public:
    """Class."""
    width: float
    """In Å."""
    _own: Tensor
    depth: int = Field(description="In bits.")
    def __init__(self, size: float) -> None: ...
    @staticmethod
    def still(a, b): ...
    @classmethod
    def made(cls, a, *, b, **c): ...
    def _hidden(self, a): ...
class _Private:
    def method(self): ...
def outer(*args):
    """Function."""
    def inner(self, a): ...
'''


def test_declarations_of_a_module(tmp_path):
    module = tree_of(tmp_path, m=CLASS).modules["house.m"]
    found = {d.name: d for d in declared(module)}
    assert {name for name, d in found.items() if d.public} == {"Public", "Public.still", "Public.made", "outer"}
    parameters = {name: [p.arg for p in d.parameters] for name, d in found.items() if not d.is_class}
    assert parameters == {
        "Public.__init__": ["size"],
        "Public.still": ["a", "b"],
        "Public.made": ["a", "b", "c"],
        "Public._hidden": ["a"],
        "_Private.method": [],
        "outer": ["args"],
        "inner": ["self", "a"],
    }
    assert list(map(ast.unparse, found["Public"].annotations)) == ["float", "int", "float", "None"]
    assert found["Public"].document.split("\n") == ["Class.", "In Å.", "In bits."]
    assert sorted(docstrings(module)) == [
        (2, "Module."),
        (4, "Constant."),
        (6, "Class."),
        (8, "In Å."),
        (20, "Function."),
    ]
