"""Extensions are found by name, whoever brings them, and a broken one is named."""

import sys
from importlib import metadata

import pytest

from nucleate import plugins
from nucleate.errors import UserError
from nucleate.plugins import VARIABLE, Registry, load_plugins


@pytest.fixture
def shelf():
    return Registry("shelf", "nucleate.test", {"json": "json:JSONDecoder"})


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A function that writes a module of some text and names it in the environment."""

    def write(name, text):
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.setenv(VARIABLE, name)
        monkeypatch.delitem(sys.modules, name, raising=False)

    monkeypatch.syspath_prepend(tmp_path)
    plugins._load_plugin.cache_clear()
    yield write
    plugins._load_plugin.cache_clear()


def test_our_own_come_first_and_are_imported_on_use(shelf):
    import json

    shelf.add("mine", 3)
    assert shelf.names() == ("json", "mine")
    assert (shelf.get("json"), shelf.get("mine")) == (json.JSONDecoder, 3)
    assert "json" in shelf
    assert "yours" not in shelf


def test_an_unknown_name_lists_the_known_ones(shelf):
    with pytest.raises(UserError, match="shelf: found 'yours'; expected one of json"):
        shelf.get("yours")


def test_a_name_belongs_to_one(shelf):
    shelf.add("mine", 3)
    shelf.add("mine", 3)  # the same again is no conflict
    for name in ("mine", "json"):
        with pytest.raises(UserError, match="taken"):
            shelf.add(name, 4)


def test_installed_packages_are_asked_too(shelf, monkeypatch):
    points = [
        metadata.EntryPoint("theirs", "math:pi", "nucleate.test"),
        metadata.EntryPoint("broken", "nosuchmodule:x", "nucleate.test"),
    ]
    monkeypatch.setattr(metadata, "entry_points", lambda group: [p for p in points if p.group == group])
    assert shelf.get("theirs") == pytest.approx(3.14159, rel=1e-5)
    with pytest.raises(UserError, match="nosuchmodule"):
        shelf.get("broken")


def test_modules_of_the_environment_are_imported_once(module):
    module("adds_one", "import sys\nsys.counted = getattr(sys, 'counted', 0) + 1\n")
    load_plugins()
    load_plugins()
    assert sys.counted == 1
    del sys.counted


@pytest.mark.parametrize("text", ["raise ValueError('no luck')", "def", "import nosuchmodule"])
def test_a_broken_module_is_named(module, text):
    module("broken_one", text)
    with pytest.raises(UserError, match=f"{VARIABLE}.*broken_one"):
        load_plugins()
