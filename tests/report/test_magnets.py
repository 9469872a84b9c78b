"""The page of a search for magnets, from a record with one step of each kind."""

import json

import pytest

from nucleate.errors import UserError
from nucleate.report.magnets import build_magnets
from nucleate.screening.magnet_funnel import PUBLISHED

ATTACK = "<script>alert(1)</script>"


def counted(entered, passed, undefined=0):
    return {
        "entered": entered,
        "passed": passed,
        "refused": {},
        "undefined": {"unknown": undefined} if undefined else {},
    }


def record(**changes):
    rule = {"name": "hull", "keep": "energy_above_hull <= 0.1", "title": "near the hull", "source": ATTACK}
    step = {
        "filter": "hull", "in_sequence": counted(60, 12, 3), "alone": counted(60, 12),
        "levels": [{"threshold": 0.05, "in_sequence": 7}],
    }  # fmt: skip
    shares = {"p1": 3, "low": 6, "total": 60}
    finalist = {
        "id": "c1", "formula": "Fe3Sn", "chemistry_class": "intermetallic", "relaxed_space_group": 194,
        "formation_energy": -0.1, "energy_above_hull": 0.02, "n_competing_phases": 4, "network_magnetization": 1.1,
        "moments_magnetization": None, "model": ATTACK,
    }  # fmt: skip
    return {
        "n": 60, "models": {ATTACK: 60}, "finalists": [finalist], "dead_end": None, "magnetization": "network",
        "protocol": {"potential": "EMT", "relaxation": "relax-v1", "reference": "bundled"},
        "counts": {"funnel": {"filters": [rule], "notes": [ATTACK]}, "steps": [step]},
        "settings": {"predictor": "none", "symmetrize": 0.1},
        "base": {"total": 100, "source": "s", "said": "t", "counts": {"steps": [step]}, "low_symmetry": shares},
        "success": {"tried": 10, "converged": 9, "both": 3},
        "symmetry": {
            "generated": shares, "allowed_and_new": shares, "lowered": 1, "relaxed": 9, "fell_to_low": 0, "moved": 2,
            "moved_hold": 1, "moved_relaxed": 2,
        },
        "classes": [{"class": "oxide", "generated": 60, "hull": 12}],
        "timings": {"generate": {"crystals": 60, "core_seconds": 0.6}},
        **changes,
    }  # fmt: skip


def page(folder, **changes):
    (folder / "magnets.json").write_text(json.dumps(record(**changes)))
    return build_magnets(folder).read_text(encoding="utf-8")


def test_counts_stand_beside_the_papers(tmp_path):
    shown = page(tmp_path)
    for words in (
        "near the hull", "energy above hull ≤ 0.1 eV/atom", "<b>12</b><br><small>7 at 0.05 eV/atom</small>",
        "3 undefined", "9 of 10, 90 % <small>(60 % to 98 %)</small>", "Fe<sub>3</sub>Sn",
        "<i>P</i>6<sub>3</sub>/mmc 194", "10.0 ms", "The magnetisation that counts is the network&#39;s",
        "No property network was asked",
    ):  # fmt: skip
        assert words in shown, words
    assert all(f"{hunt.generated:,}" in shown for hunt in PUBLISHED)


def test_the_page_is_safe(tmp_path):
    shown = page(tmp_path)
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown
    assert "script-src 'none'" in shown


def test_a_dead_end_is_said_first(tmp_path):
    end = {"label": "near the hull", "entered": 5, "advice": "hull=0.2"}
    shown = page(tmp_path, dead_end=end, finalists=[])
    assert "Nothing passes the step “near the hull”, which 5 crystals reached. To loosen: hull=0.2." in shown
    assert "None. Left to do" in shown


@pytest.mark.parametrize("missing", ["n", "counts", "protocol", "symmetry", "classes", "timings", "magnetization"])
def test_a_damaged_record_is_one_clear_line(tmp_path, missing):
    content = record()
    del content[missing]
    (tmp_path / "magnets.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="nucleate magnets"):
        build_magnets(tmp_path)
