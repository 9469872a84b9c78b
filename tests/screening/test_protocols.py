"""Protocols by name: each rate against a plain count, each deviation named once."""

import numpy as np
import pandas as pd
import pytest

from nucleate.errors import UserError
from nucleate.matching.reduced_cells import MATCHERS
from nucleate.screening.protocols import Practice, deviations
from nucleate.screening.published_protocols import PROTOCOLS, Definition, find_protocol, published_rates, unmeasured


def table(n: int = 400, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    flags = ("is_valid", "is_unique", "is_novel", "is_stable", "formula_known", "is_valid_lax")
    frame = pd.DataFrame({name: pd.array(rng.random(n) < 0.7, dtype="boolean") for name in flags})
    for name in flags:
        frame.loc[rng.random(n) < 0.1, name] = pd.NA
    frame["status"] = rng.choice(["ok", "unconverged", "no_reference"], n, p=[0.8, 0.1, 0.1])
    hull = rng.normal(0.06, 0.1, n).round(2)
    frame["energy_above_hull"] = np.where(frame["status"] == "no_reference", np.nan, hull)
    frame["relaxed_space_group"] = rng.choice([1, 2, 62, 225], n)
    frame["charge_balance"] = rng.choice([0.0, 1.0, np.nan], n)
    frame["proxy_potential"] = rng.normal(0, 0.3, n)
    frame["compactness"] = rng.choice([0.5, 0.55, 0.7, 0.85, 0.9, np.nan], n)
    frame["local_environment_diversity"] = rng.choice([8.0, 9.0, 10.0], n)
    frame["complexity"] = rng.choice([1.0, 3.9, 4.0], n)
    return frame


def yes(frame: pd.DataFrame, name: str) -> pd.Series:
    return frame[name].fillna(False).astype(bool)


def rates(name: str, frame: pd.DataFrame) -> dict[str, tuple[int, int]]:
    return {rate.name: (rate.count, rate.total) for rate in published_rates(find_protocol(name), frame)}


def test_mattergen_counts_every_crystal() -> None:
    frame = table()
    found = rates("mattergen", frame)
    low = (frame["energy_above_hull"] <= 0.1) & (frame["status"] == "ok")
    assert found["stable"] == (low.sum(), len(frame))
    assert found["S.U.N."] == ((low & yes(frame, "is_unique") & yes(frame, "is_novel")).sum(), len(frame))


def test_lemat_tells_stable_from_metastable_among_the_valid() -> None:
    frame = table()
    found = rates("lemat", frame)
    valid = yes(frame, "is_valid") & (frame["charge_balance"] == 1)
    relaxed, hull = frame["status"] == "ok", frame["energy_above_hull"]
    new = valid & yes(frame, "is_unique") & yes(frame, "is_novel") & relaxed
    assert found["SUN"] == ((new & (hull <= 0)).sum(), len(frame))
    assert found["MSUN"] == ((new & (hull > 0) & (hull <= 0.1)).sum(), len(frame))
    assert (hull == 0).any()  # the border belongs to the stable ones
    assert found["stable"][0] + found["metastable"][0] == (valid & relaxed & (hull <= 0.1)).sum()


def test_wyformer_counts_among_those_with_a_distance() -> None:
    frame = table()
    found = rates("wyformer", frame)
    placed = frame["energy_above_hull"].notna() & (frame["status"] == "ok")
    new = yes(frame, "is_unique") & yes(frame, "is_novel") & yes(frame, "is_valid_lax")
    low = new & placed & (frame["energy_above_hull"] <= 0.08)
    assert found["S.U.N."] == (low.sum(), placed.sum())
    assert found["S.S.U.N. (not P1)"] == ((low & (frame["relaxed_space_group"] != 1)).sum(), placed.sum())
    assert found["novel"][1] == yes(frame, "is_unique").sum()


def test_pigen_filters_alone_and_in_sequence() -> None:
    frame = table()
    found = rates("pigen", frame)
    c, d = frame["compactness"], frame["local_environment_diversity"]
    assert found["C compactness"] == (((c > 0.55) & (c < 0.85)).sum(), len(frame))
    assert found["D local environments"] == ((d > 9).sum(), len(frame))
    assert found["B new formula"] == (frame["formula_known"].eq(False).fillna(False).sum(), len(frame))
    near = [value[0] for name, value in found.items() if name.startswith("A to D, and E")]
    assert len(near) == 4
    assert sorted(near, reverse=True) == near
    assert near[0] <= found["A & B & C & D"][0] <= found["C compactness"][0]


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_rate_is_measured_by_the_settings_it_fixes(name: str) -> None:
    definition = find_protocol(name)
    frame = table()
    assert unmeasured(definition, frame) == ()
    assert len(published_rates(definition, frame)) == len(definition.rates)
    columns = {rule.column for share in definition.rates for rule in (*share.holds, *share.among)}
    descriptors = columns & {"charge_balance", "proxy_potential", "compactness", "complexity"}
    descriptors |= columns & {"local_environment_diversity"}
    assert descriptors <= set(definition.settings["descriptors"].split(","))
    assert all(share.words for share in definition.rates)


def test_a_rate_without_its_column_is_named_not_zero() -> None:
    definition = find_protocol("pigen")
    frame = table().drop(columns="local_environment_diversity")
    missing = unmeasured(definition, frame)
    assert any("D local environments" in line and "local_environment_diversity" in line for line in missing)
    assert "D local environments" not in rates("pigen", frame)
    assert len(missing) + len(published_rates(definition, frame)) == len(definition.rates)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_nothing_generated_is_no_error(name: str) -> None:
    assert all(rate.total == 0 for rate in published_rates(find_protocol(name), table().head(0)))


def run_like(definition: Definition, **changes: object) -> tuple[str, ...]:
    values = {
        "potential": definition.potentials[0] if definition.potentials else "chgnet",
        "reference": definition.references[0] if definition.references else "union",
        "relaxation": "relax-v1",
        "relaxed": definition.relaxed,
        "matcher": definition.matcher,
        "symprec": definition.symprec,
        "n": definition.samples or 96,
        **changes,
    }
    return deviations(definition, Practice(**values))


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        ("mattergen", {"potential": "chgnet"}, "potential: here chgnet; there DFT"),
        ("mattergen", {"reference": "bundled (3 phases)"}, "reference: here bundled (3 phases); there"),
        ("wyformer", {"symprec": 0.01}, "tolerance here 0.01 Å; there 0.1 Å"),
        ("lemat", {"relaxed": True}, "structures: here those relaxed; there those given"),
        ("mattergen", {"matcher": MATCHERS["ordered"]}, "matcher: here StructureMatcher(ltol"),
        ("lemat", {"matcher": MATCHERS["ordered"]}, "ltol=0.2, stol=0.3, angle_tol=5); there"),
        ("lemat", {"n": 96}, "samples: here 96; there 2,500"),
        ("mattergen", {"relaxed": False}, "structures: here those given; there those relaxed"),
    ],
)
def test_each_departure_is_a_line(name: str, changes: dict, expected: str) -> None:
    definition = find_protocol(name)
    assert not any(expected in line for line in run_like(definition))
    assert sum(expected in line for line in run_like(definition, **changes)) == 1


def test_what_is_the_same_is_no_departure() -> None:
    lines = run_like(find_protocol("wyformer"), potential="chgnet 0.4.2", reference="mp-20 (45,229 phases)")
    assert not any(line.startswith(("potential", "reference", "samples", "structures")) for line in lines)
    assert not any(line.startswith("relaxation") for line in run_like(find_protocol("lemat")))


def test_an_unknown_protocol_is_the_users_mistake() -> None:
    with pytest.raises(UserError, match="mattergen, pigen, lemat, wyformer"):
        find_protocol("mine")
