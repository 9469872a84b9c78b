"""The script for other interpreters: it stands alone, speaks first, and knows force fields by short names."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from nucleate.citations import CITATIONS
from nucleate.potentials import calculator_server as server

SCRIPT = Path(server.__file__)
ARGON = "from ase.calculators.lj import LennardJones\n"


def conversation(*messages: object) -> list[dict[str, object]]:
    told = "".join(json.dumps(message) + "\n" for message in messages).encode()
    process = subprocess.Popen([sys.executable, SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(told)
    process.stdin.flush()
    answers = [json.loads(process.stdout.readline()) for _ in range(len(messages) + 1)]
    process.stdin.close()
    assert process.wait(20) == 0
    process.stdout.close()
    return answers


def test_the_script_imports_only_the_standard_library_numpy_and_ase():
    tree = ast.parse(SCRIPT.read_text())
    ours = set(server.FORCE_FIELDS) | {"orb_models"}
    allowed = set(sys.stdlib_module_names) | {"numpy", "ase"} | ours
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert {name.partition(".")[0] for name in names} <= allowed


def test_its_syntax_is_that_of_old_interpreters():
    ast.parse(SCRIPT.read_text(), feature_version=(3, 8))


def test_a_conversation():
    crystal = {
        "numbers": [29],
        "frac": [[0.0, 0.0, 0.0]],
        "lattice": [[0.0, 1.8, 1.8], [1.8, 0.0, 1.8], [1.8, 1.8, 0.0]],
    }
    asked = {"protocol": server.PROTOCOL, "calculator": "ase:emt", "keywords": {}}
    hello, made, answer, fault = conversation(asked, crystal, {**crystal, "numbers": [92]})
    assert hello["protocol"] == server.PROTOCOL
    assert hello["numpy"] == np.__version__
    assert str(made["version"]).startswith("ase 3.")
    assert np.shape(answer["forces"]) == (1, 3)
    assert np.shape(answer["stress"]) == (3, 3)
    assert answer["magmoms"] is None
    assert fault["error"] == "NotImplementedError: No EMT-potential for U"


def test_another_protocol_is_refused():
    _, answer = conversation({"protocol": 99, "calculator": "ase:emt", "keywords": {}})
    assert answer["mistake"] == ["protocol 99", f"protocol {server.PROTOCOL}"]


def test_modules_beside_the_script_hide_no_package(tmp_path):
    """``chgnet`` is a module of ours and a package of others."""
    asked = {"protocol": server.PROTOCOL, "calculator": "pool:Anything", "keywords": {}}
    assert conversation(asked)[1]["mistake"][0] == "no module 'pool'"  # type: ignore[index]


def test_every_force_field_can_be_cited():
    assert set(server.FORCE_FIELDS) <= set(CITATIONS)


@pytest.mark.parametrize(
    ("name", "files", "keywords", "sigma"),
    [
        (
            "mace",
            {"mace/calculators.py": "def mace_mp(sigma):\n    return LennardJones(sigma=sigma)"},
            {"sigma": 3.0},
            3.0,
        ),
        (
            "mattersim",
            {"mattersim/forcefield.py": "def MatterSimCalculator(sigma):\n    return LennardJones(sigma=sigma)"},
            {"sigma": 3.0},
            3.0,
        ),
        (
            "sevenn",
            {"sevenn/calculator.py": "def SevenNetCalculator(sigma):\n    return LennardJones(sigma=sigma)"},
            {"sigma": 3.0},
            3.0,
        ),
        (
            "orb",
            {
                "orb_models/forcefield/pretrained.py": "def small(device, precision):\n    return precision",
                "orb_models/forcefield/calculator.py": "def ORBCalculator(model, device):\n"
                "    assert device == 'cpu'\n    return LennardJones(sigma=model)",
            },
            {"model": "small", "precision": 2.0},
            2.0,
        ),
        (
            "orb",
            {
                "orb_models/forcefield/pretrained.py": "def small(device, precision):\n    return precision, 'adapter'",
                "orb_models/forcefield/inference/calculator.py": "def ORBCalculator(model, atoms_adapter, device):\n"
                "    assert atoms_adapter == 'adapter'\n    return LennardJones(sigma=model)",
            },
            {"model": "small", "precision": 2.5},
            2.5,
        ),
    ],
    ids=["mace", "mattersim", "sevenn", "orb before 0.6", "orb"],
)
def test_force_fields_are_made_as_their_packages_want(tmp_path, monkeypatch, name, files, keywords, sigma):
    """Stand-ins with the packages' own signatures, which have no weights and need no download."""
    for path, text in files.items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(ARGON + text + "\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    try:
        assert server.make_calculator(name, keywords).parameters["sigma"] == sigma
        with pytest.raises(server.CalculatorError):
            server.make_calculator(name, {"model": "nosuch", "nosuch": 1})
    finally:
        for module in set(sys.modules) - before:
            if module.partition(".")[0] in {name, "orb_models"}:
                del sys.modules[module]
