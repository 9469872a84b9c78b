"""Imports, circles and layers of small trees."""

from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

import networkx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from source_tree import Import, SourceTree, circles, reachable, shortest_circles

NODES = "abcdefgh"
GRAPHS = st.fixed_dictionaries({node: st.sets(st.sampled_from(NODES)) for node in NODES})
CONTRACT = """
[[tool.importlinter.contracts]]
name = "order"
type = "layers"
containers = ["house"]
exhaustive = true
layers = ["roof", "left | right", "one : other", "ground"]
"""


def grown(folder, files, settings="[tool.importlinter]\n"):
    (folder / "pyproject.toml").write_text(settings, encoding="utf-8")
    for name, text in {"__init__.py": "", **files}.items():
        path = folder / "src" / "house" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return SourceTree(folder)


@given(GRAPHS)
def test_circles_are_the_strong_components(graph):
    graph = {node: {n for n in others if n != node} for node, others in graph.items()}
    components = networkx.strongly_connected_components(networkx.DiGraph(graph))
    assert sorted(map(sorted, circles(graph))) == sorted(sorted(c) for c in components if len(c) > 1)


@given(GRAPHS)
def test_reachable_are_the_descendants(graph):
    whole = networkx.DiGraph(graph)
    for node in graph:
        assert reachable(graph, node) - {node} == networkx.descendants(whole, node)


@given(GRAPHS)
def test_without_the_shortest_circles_there_is_none(graph):
    left = {node: set(others) for node, others in graph.items()}
    for group in circles(graph):
        for circle in shortest_circles(graph, group):
            assert circle[0] == circle[-1]
            for one, other in pairwise(circle):
                left[one].remove(other)  # fails where circles share an edge, or use one that is not there
    try:
        TopologicalSorter(left).prepare()
    except CycleError as error:
        raise AssertionError(error.args[1]) from error


def test_imports_of_every_kind(tmp_path):
    tree = grown(
        tmp_path,
        {
            "a/__init__.py": "from house.a.b import thing",
            "a/b.py": "thing = 1",
            "a/c.py": "import torch.nn\nfrom . import b\nfrom .b import thing as t\nfrom ..d import x",
            "d.py": "from typing import TYPE_CHECKING\nx = 1\n"
            "if TYPE_CHECKING:\n    from house.a import c\nelse:\n    import os\n"
            "def f():\n    import house.a.b\n    import_module('house.a.c')\n",
        },
    )
    inside = {(i.importer, i.target): i for i in tree.imports if i.target.startswith("house")}
    assert set(inside) == {
        ("house.a", "house.a.b"),
        ("house.a.c", "house.a.b"),
        ("house.a.c", "house.d"),
        ("house.d", "house.a.c"),
        ("house.d", "house.a.b"),
    }
    assert inside["house.d", "house.a.b"] == Import("house.d", "house.a.b", (), 8, True, False)
    assert [i.checking for i in tree.imports if i.importer == "house.d" and i.target == "house.a.c"] == [True, False]
    assert {i.target for i in tree.imports} - {i.target for i in inside.values()} == {"torch", "typing", "os"}


def test_names_are_followed_through_packages(tmp_path):
    tree = grown(
        tmp_path,
        {
            "a/__init__.py": "from house.a.b import thing as other",
            "a/b.py": "thing = 1",
            "c.py": "from house.a import other as third\nfrom numpy import array",
        },
    )
    assert tree.definition("house.c", "third") == ("house.a.b", "thing")
    assert tree.definition("house.c", "own") == ("house.c", "own")
    assert tree.definition("house.c", "array") == ("numpy", "array")


def test_an_import_loads_the_packages_above(tmp_path):
    tree = grown(tmp_path, {"a/__init__.py": "import torch", "a/b.py": "", "c.py": "import house.a.b"})
    assert reachable(tree.loaded(), "house.c") == {"house", "house.a", "house.a.b", "torch"}


def breaches(folder, files, settings=""):
    tree = grown(folder, files, f"[tool.importlinter]\n{settings}{CONTRACT}")
    return [(str(found.path), found.line, found.what) for found in tree.breaches()]


ORDER = {f"{name}/__init__.py": "" for name in ("roof", "left", "right", "one", "other", "ground")}


@pytest.mark.parametrize(
    ("importer", "target", "breach"),
    [
        ("roof", "ground", False),
        ("roof", "left", False),
        ("ground", "roof", True),
        ("left", "right", True),
        ("one", "other", False),
        ("one", "left", True),
        ("left", "left", False),
    ],
)
@pytest.mark.parametrize("text", ["import house.{}.x", "def f():\n    from house.{} import x"])
def test_imports_go_down(tmp_path, importer, target, breach, text):
    files = {**ORDER, f"{target}/x.py": "", f"{importer}/y.py": text.format(target)}
    found = breaches(tmp_path, files)
    assert [(path, line) for path, line, _ in found] == [(f"src/house/{importer}/y.py", text.count("\n") + 1)] * breach


def test_a_folder_without_layer_is_named(tmp_path):
    found = breaches(tmp_path, {**ORDER, "cellar/__init__.py": ""})
    assert found == [("src/house/cellar/__init__.py", 1, "house.cellar is in no layer")]


@pytest.mark.parametrize("leave_out", [False, True])
def test_type_checking_counts_as_the_linter_counts_it(tmp_path, leave_out):
    text = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import house.roof"
    setting = f"exclude_type_checking_imports = {str(leave_out).lower()}\n"
    assert bool(breaches(tmp_path, {**ORDER, "ground/x.py": text}, setting)) is not leave_out


def test_one_package_is_expected(tmp_path):
    with pytest.raises(ValueError, match="0 packages"):
        SourceTree(tmp_path)
