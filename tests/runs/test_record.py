"""Records of runs: read as they were written, and refused in one line where they do not fit."""

import json
import math
import shutil
from pathlib import Path

import pytest
from pydantic import ValidationError

from nucleate.errors import UserError
from nucleate.runs.record import FORMAT_VERSION, SETTINGS, RunRecord, difference, kind_of
from nucleate.settings import CompareSettings, ExploreSettings, MagnetSettings, ScreenSettings

FORMATS = Path(__file__).parent / "formats"


def written(folder, record):
    (folder / "run.json").write_text(record.to_json())
    return RunRecord.read(folder)


def test_a_record_is_read_as_it_was_written(tmp_path, record):
    assert written(tmp_path, record) == record


def test_the_file_is_plain_json_in_order(record):
    plain = ScreenSettings().without_relaxation()
    text = record.model_copy(update={"kind": "screen", "settings": plain}).to_json()
    assert "Infinity" in text  # as text: JSON has no such number
    content = json.loads(text, parse_constant=lambda name: pytest.fail(name))
    assert list(content) == sorted(content)


def test_infinite_settings_come_back(tmp_path, record):
    plain = ScreenSettings().without_relaxation()
    found = written(tmp_path, record.model_copy(update={"kind": "screen", "settings": plain}))
    assert math.isinf(found.screening.fmax)
    assert found.settings == plain


def test_the_kind_says_what_the_settings_are(tmp_path, record):
    given = {
        "screen": ScreenSettings(),
        "magnets": MagnetSettings(models=("random",)),
        "comparison": CompareSettings(models=("random",)),
        "exploration": ExploreSettings(system="Cu-Au"),
    }
    for kind, settings in given.items():
        found = written(tmp_path, record.model_copy(update={"kind": kind, "settings": settings}))
        assert type(found.settings) is SETTINGS[kind]
        assert found.settings == settings
        assert kind_of(settings) == kind


def test_a_folder_of_runs_goes_on_with_other_settings(record):
    one = record.model_copy(update={"kind": "comparison", "settings": CompareSettings(n=2)})
    other = record.model_copy(update={"kind": "comparison", "settings": CompareSettings(n=3)})
    assert one.holds_runs
    assert difference(one.fixed(), other.fixed()) is None
    assert difference(one.fixed(), record.fixed())[0] == "hashes"


def test_what_is_asked_of_any_kind(record):
    assert record.where == ("chemical_system=Au-Cu",)
    assert record.source == "random"
    screened = record.model_copy(update={"kind": "screen", "settings": ScreenSettings(), "structures": "x/y.cif"})
    assert (screened.where, screened.source, screened.draw_below) == ((), "x/y.cif", None)


@pytest.mark.parametrize("plan", [((0, 2), (3, 4)), ((1, 2),), ((0, 0),), ((0, 2), (2, 1))])
def test_chunks_have_no_gaps(record, plan):
    with pytest.raises(ValidationError, match="a later row"):
        RunRecord.model_validate(dict(record) | {"chunk_plan": plan})


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"colour": "red"}, "run.json colour: found 'red'"),
        ({"kind": "poem"}, "run.json kind: found 'poem'; expected 'design'"),
        ({"n": "many"}, "run.json n: found 'many'"),
        ({"settings": {"model": "random", "n": -1}}, "run.json settings.n: found -1"),
        ({"protocol": None}, "run.json protocol: found None"),
    ],
)
def test_a_field_that_does_not_fit_is_named(tmp_path, record, change, found):
    content = json.loads(record.to_json()) | change
    (tmp_path / "run.json").write_text(json.dumps(content))
    with pytest.raises(UserError) as caught:
        RunRecord.read(tmp_path)
    assert found in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_field_that_is_missing_is_named(tmp_path, record):
    content = json.loads(record.to_json())
    del content["protocol"]
    (tmp_path / "run.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"run.json protocol: found nothing"):
        RunRecord.read(tmp_path)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (None, "no run.json"),
        ("{", "not JSON"),
        (json.dumps({"format_version": FORMAT_VERSION + 1}), f"version {FORMAT_VERSION + 1}"),
        ("[]", "version None"),
        ("{}", "version None"),
    ],
)
def test_what_is_no_run_of_this_version_is_refused(tmp_path, content, found):
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(UserError, match=found):
        RunRecord.read(tmp_path)


def test_a_run_of_the_first_format_says_what_made_it_and_what_to_do(tmp_path):
    shutil.copy(FORMATS / "run-v1.json", tmp_path / "run.json")
    with pytest.raises(UserError) as caught:
        RunRecord.read(tmp_path)
    message = str(caught.value)
    assert "found format version 1, made by Nucleate 0.1.0; expected version 2 of this Nucleate" in message
    assert "make it anew with `nucleate design`" in message
    assert "or open it with Nucleate 0.1.0 of that format" in message


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("comparison.json", {"command": "compare", "versions": {"nucleate": "0.1.0"}}, "nucleate compare` and"),
        ("phase_diagram.json", {"command": "phase-diagram"}, "nucleate phase-diagram` and"),
    ],
)
def test_folders_of_runs_of_the_first_format_had_no_record(tmp_path, name, content, found):
    (tmp_path / name).write_text(json.dumps(content))
    with pytest.raises(UserError, match=f"version 1.*{found}"):
        RunRecord.read(tmp_path)


def test_the_first_difference_is_named():
    assert difference({"a": 1, "b": {"c": [1]}}, {"b": {"c": [1]}, "a": 1}) is None
    assert difference({"a": 1, "b": {"c": [1]}}, {"a": 1, "b": {"c": [2]}}) == ("c", [1], [2])
    assert difference({"a": None}, {}) is None
