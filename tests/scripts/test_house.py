"""Every measure on a small tree whose numbers are known."""

import json

import house
import pytest

PROJECT = """
[project.scripts]
house = "home.cli:run"
[tool.importlinter]
[[tool.importlinter.contracts]]
type = "layers"
containers = ["home"]
layers = ["cli", "campaign", "ground"]
"""
SOUND = {
    "__init__.py": '"""A home."""',
    "cli.py": "def run():\n    from home.ground import heavy",
    "campaign/__init__.py": "",
    "ground/__init__.py": "",
    "ground/heavy.py": "import torch",
}


def built(folder, files=(), tests=()):
    (folder / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    written = {f"src/home/{name}": text for name, text in {**SOUND, **dict(files)}.items()}
    for name, text in {**written, **{f"tests/{name}": "" for name in tests}}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def measured(folder, key, files=(), tests=()):
    return {m.key: m for m in house.House(built(folder, files, tests)).measures()}[key]


def lines(measure):
    return [(str(o.path).removeprefix("src/home/"), o.line) for o in measure.offenders]


def test_sizes(tmp_path):
    found = measured(tmp_path, "modules")
    assert (found.value, found.beside, found.met) == (5, "2 without bare __init__.py", True)


@pytest.mark.parametrize("count", [12, 13])
def test_folders_of_campaign(tmp_path, count):
    files = {f"campaign/deep/m{i}.py": "" for i in range(count)}
    found = measured(tmp_path, "campaign", {**files, "campaign/deep/__init__.py": "", "campaign/x.py": ""})
    assert (found.value, found.beside, found.met) == (count, "src/home/campaign/deep", count == 12)


@pytest.mark.parametrize("count", [400, 401])
def test_long_modules(tmp_path, count):
    found = measured(tmp_path, "long", {"ground/x.py": "x = 1\n" * count})
    assert lines(found) == [("ground/x.py", 401)] * (count > 400)


IN_FUNCTION = "def f():\n    from home.ground import {}"


@pytest.mark.parametrize(
    ("first", "second", "plain", "local"),
    [
        ("import home.ground.b", "import home.ground.a", 1, 0),
        ("import home.ground.b", "def f():\n    import home.ground.a", 0, 1),
        ("import home.ground.b", "if TYPE_CHECKING:\n    import home.ground.a", 0, 0),
        ("import home.ground.b", "", 0, 0),
    ],
)
def test_circles(tmp_path, first, second, plain, local):
    files = {"ground/a.py": first, "ground/b.py": second}
    assert measured(tmp_path, "circles", files).value == plain
    assert measured(tmp_path, "local-circles", files).value == local


def test_a_circle_is_told_where_the_function_imports(tmp_path):
    files = {"ground/a.py": "import home.ground.b", "ground/b.py": "def f():\n    import home.ground.a"}
    [found] = measured(tmp_path, "local-circles", files).offenders
    assert (found.path.name, found.line) == ("b.py", 2)
    assert found.what == "ground.b -> ground.a -> ground.b (among 2 modules)"


def test_layers(tmp_path):
    found = measured(tmp_path, "layers", {"ground/x.py": "def f():\n    import home.campaign"})
    assert lines(found) == [("ground/x.py", 2)]


@pytest.mark.parametrize(
    ("users", "small"),
    [
        (["ground/b.py"], True),
        (["campaign/b.py"], False),
        (["ground/b.py", "campaign/b.py"], False),
        ([], False),
    ],
)
@pytest.mark.parametrize("passed_on", [False, True])
def test_small_modules(tmp_path, users, small, passed_on):
    text = "from home.ground import thing" if passed_on else "from home.ground.a import thing"
    files = {"ground/a.py": "thing = 1", **dict.fromkeys(users, text)}
    if passed_on:
        files["ground/__init__.py"] = "from home.ground.a import thing"
    assert lines(measured(tmp_path, "small", files)) == [("ground/a.py", 1)] * small


def test_bags(tmp_path):
    text = "Row = dict[str, Any]\ndef f(a: Row): ...\ndef g(a: dict[str, int]) -> None: ...\ndef h() -> dict: ..."
    found = measured(tmp_path, "bags", {"ground/x.py": text})
    assert (lines(found), found.value) == ([("ground/x.py", 2), ("ground/x.py", 4)], 50)


def test_parameters(tmp_path):
    text = "class A:\n    def f(self, a, b, c, d, e, f, g): ...\ndef h(a, b, c, d, e, f, *g, h=1): ..."
    assert lines(measured(tmp_path, "parameters", {"ground/x.py": text})) == [("ground/x.py", 3)]


def test_local_imports(tmp_path):
    files = {
        "cli.py": "import home.shown\ndef run():\n    from home.ground import heavy, light",
        "shown.py": "def f():\n    import pandas\n    import json\n    from home.ground import light",
        "ground/light.py": "def f():\n    import home.ground.heavy",
    }
    found = measured(tmp_path, "local", files)
    assert lines(found) == [("ground/light.py", 2), ("shown.py", 3), ("shown.py", 4)]
    assert found.beside == "5 in all, 2 keep --help fast"


DOCUMENTS = '''
def f(x: Tensor) -> float:
    """Energy in eV of coordinates (N, 3)."""
def g(x: Tensor) -> float:
    """Energy of coordinates."""
def h(x: Tensor) -> None: ...
def _i(x: Tensor) -> float:
    """Private."""
def j(x: int) -> str:
    """Neither tensor nor number."""
'''


@pytest.mark.parametrize(("key", "without"), [("shapes", 1), ("units", 0)])
def test_documents(tmp_path, key, without):
    found = measured(tmp_path, key, {"ground/x.py": DOCUMENTS})
    assert (lines(found), found.value, found.met) == ([("ground/x.py", 4)], 50, False)
    assert found.beside == f"1 of 2; {without} more have no docstring"


def test_openings(tmp_path):
    text = '"""What it is."""\ndef f():\n    """Of a crystal."""\ndef g():\n    """Offers whatever."""'
    assert lines(measured(tmp_path, "openings", {"ground/x.py": text})) == [("ground/x.py", 1), ("ground/x.py", 3)]


def test_words(tmp_path):
    text = 'def f(walk):\n    """First.\n\n    A walk among rivals.\n    """\nclass Merit: ...\n'
    found = measured(tmp_path, "words", {"ground/x.py": text})
    assert sorted(lines(found)) == [("ground/x.py", 1), ("ground/x.py", 4), ("ground/x.py", 6)]


def test_mirrors(tmp_path):
    tests = ("ground/test_heavy.py", "ground/test_heavy_limits.py", "ground/test_init.py", "test_rules.py")
    tests += ("cli/test_run.py", "contracts/test_laws.py", "ground/test_heavyweight.py", "test_lost/test_heavy.py")
    found = measured(tmp_path, "mirrors", tests=tests)
    assert [str(o.path) for o in found.offenders] == [
        "tests/ground/test_heavyweight.py",
        "tests/test_lost/test_heavy.py",
    ]
    assert (found.value, found.beside) == (60, "3 of 5 files; 3 elsewhere by rule")


def test_comments(tmp_path):
    assert measured(tmp_path, "comments", {"ground/x.py": "x = 1  # why\n" * 5}).value == pytest.approx(100 * 5 / 9)


def test_a_table_and_json_hold_every_measure(tmp_path, capsys):
    built(tmp_path)
    assert house.main(["--root", str(tmp_path)]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert house.main(["--root", str(tmp_path), "--json"]) == 0
    held = json.loads(capsys.readouterr().out)
    assert [line.split()[0] for line in shown] == ["measure", *held]
    assert all(held[key]["met"] in (True, False, None) for key in held)


def test_offenders_are_listed(tmp_path, capsys):
    built(tmp_path, {"ground/x.py": "def f():\n    import json"})
    assert house.main(["--root", str(tmp_path), "--list", "local"]) == 0
    assert capsys.readouterr().out == "src/home/ground/x.py:2: imports json\n"


def test_an_unknown_measure_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit) as end:
        house.main(["--root", str(built(tmp_path)), "--list", "beauty"])
    assert end.value.code == 2
    assert "modules, campaign" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", 0),
        ("def f(a: dict): ...", 0),
        ("import home.ground.y", 1),
        ("def f():\n    import home.ground.y", 1),
        ("import home.cli", 1),
    ],
)
def test_the_gate_holds_circles_and_layers_alone(tmp_path, capsys, text, code):
    built(tmp_path, {"ground/x.py": text, "ground/y.py": "import home.ground.x"})
    assert house.main(["--root", str(tmp_path)]) == 0
    assert house.main(["--root", str(tmp_path), "--gate"]) == code


def test_the_help_is_timed(tmp_path):
    found = house.help_time(built(tmp_path, {"cli.py": "def run(): print('help')"}), runs=1)
    assert found.value > 0
