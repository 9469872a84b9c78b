"""The protocol a run follows: what it fixes, what the user overrules, and what the record says of it."""

from math import inf

import pytest

from nucleate.campaign.export import run_summary
from nucleate.campaign.screen import screen
from nucleate.crystal.crystals import Crystals
from nucleate.errors import UserError
from nucleate.matching.reduced_cells import MATCHERS, SAME_STRUCTURE
from nucleate.runs.record import StatedProtocol
from nucleate.screening.protocols import matcher_of, stated_protocol, under_protocol
from nucleate.settings import ScreenSettings

FCC = [[0.0, 1.8, 1.8], [1.8, 0.0, 1.8], [1.8, 1.8, 0.0]]


def stated(**given: object) -> StatedProtocol:
    return stated_protocol(under_protocol(ScreenSettings.from_keywords(given)), "chgnet", "union", 96)


def test_without_a_protocol_all_is_as_usual() -> None:
    settings = under_protocol(ScreenSettings())
    assert (settings.stable_within, settings.descriptors, settings.fmax) == (0.1, "cheap", 0.05)
    assert matcher_of(settings) == SAME_STRUCTURE
    assert stated().follows is stated().source is stated().deviations is None


@pytest.mark.parametrize(("name", "threshold"), [("mattergen", 0.1), ("pigen", 0.05), ("lemat", 0), ("wyformer", 0.08)])
def test_a_protocol_fixes_what_is_left_open(name: str, threshold: float) -> None:
    settings = under_protocol(ScreenSettings(protocol=name))
    assert settings.stable_within == threshold
    assert (settings.fmax == inf) == (name == "lemat")
    assert under_protocol(ScreenSettings(protocol=name, stable_within=0.3)).stable_within == 0.3
    assert stated(protocol=name).follows == name
    assert stated(protocol=name).deviations


def test_what_the_user_overrules_is_a_departure() -> None:
    assert matcher_of(under_protocol(ScreenSettings(protocol="mattergen"))) == MATCHERS["disordered"]
    lines = stated(protocol="mattergen", matcher="ordered").deviations
    assert sum(line.startswith("matcher: here StructureMatcher(ltol") for line in lines) == 1
    assert not any(line.startswith("matcher: here") for line in stated(protocol="mattergen").deviations)
    relaxed = under_protocol(ScreenSettings(protocol="lemat"), relax=True)
    assert relaxed.fmax < inf
    assert any(line.startswith("structures") for line in stated_protocol(relaxed, "x", "y", 1).deviations)
    assert under_protocol(ScreenSettings(protocol="lemat", fmax=0.02)).fmax == 0.02


def test_an_unknown_protocol_or_matcher_is_one_clear_line() -> None:
    with pytest.raises(UserError, match="--protocol: found 'mine'"):
        under_protocol(ScreenSettings(protocol="mine"))
    with pytest.raises(UserError, match="matcher"):
        ScreenSettings.from_keywords({"matcher": "blurred"})


def test_a_run_states_rates_and_departures(metals, tmp_path) -> None:
    settings = under_protocol(ScreenSettings(protocol="lemat", potential="ase.calculators.emt:EMT", reference=metals))
    copper = Crystals.from_lists([[29], [29]], [[[0.0] * 3]] * 2, [FCC] * 2)
    run = screen(copper, settings, tmp_path / "run", workers=1)
    protocol = run.record.protocol
    assert protocol.follows == "lemat"
    assert "ltol=0.1" in protocol.matcher
    assert "lemat_genbench" in run.record.citations
    summary = run_summary(run)
    found = {rate.name: rate.count for rate in summary.published.rates}
    assert found["unique"] == 1
    assert found["novel"] == found["SUN"] == 0
    text = str(summary)
    assert "as LeMat-GenBench counts" in text
    assert all(line in text for line in protocol.deviations)
    assert summary.to_dict()["published"]["deviations"] == list(protocol.deviations)
    assert "meets request" not in {rate.name for rate in summary.rates}
