"""The page as a file: whole, self-contained, safe and sensible for poor runs."""

import json
import re
from html.parser import HTMLParser

import pytest

from nucleate.citations import CITATIONS
from nucleate.errors import UserError
from nucleate.report.document import percent
from nucleate.report.page import build_report

VOID = {"meta", "input", "br", "img", "link"}


class Reader(HTMLParser):
    """Collects tags, addresses, text and scripts, and checks that tags close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("script", "style"):
            self.words.append(data)


def read(path):
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    assert reader.open == []
    return reader


def payload(path):
    found = re.search(r'<script type="application/json" id="payload">(.*?)</script>', path.read_text(), re.DOTALL)
    return json.loads(found[1])


def test_nothing_is_fetched(make_run):
    path = build_report(make_run())
    assert path.name == "report.html"
    for tag, attributes in read(path).tags:
        assert "src" not in attributes, tag
        assert tag not in ("link", "iframe", "object", "img")
        if "href" in attributes:
            assert tag == "a"
            assert attributes["href"].startswith(("#", "https://doi.org/", "https://arxiv.org/", "https://github.com/"))
        assert not [name for name in attributes if name.startswith("on")]
    text = path.read_text()
    assert "url(" not in text
    assert "@import" not in text
    assert "default-src 'none'" in text


def test_ids_are_unique_and_labels_point_somewhere(make_run):
    reader = read(build_report(make_run()))
    ids = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = [a["href"][1:] for tag, a in reader.tags if tag == "a" and a["href"].startswith("#")]
    assert set(targets) <= set(ids)


def test_says_what_the_run_says(make_run):
    words = " ".join(read(build_report(make_run())).words)
    for expected in ("4 crystals of Mg–O from random", "chgnet-0.3.0", "relax-v1", "of 4 (95 % CI", "0.2 eV/Å left",
                     "unconverged", "eV/atom", "seed 0", CITATIONS["chgnet"].bibtex.splitlines()[0]):  # fmt: skip
        assert expected in words, expected


def test_rates_are_those_of_the_evaluation(make_run):
    from nucleate.evaluation.summary import summarise
    from nucleate.report.run_data import read_run

    folder = make_run()
    rate = summarise(read_run(folder).candidates).rate("S.U.N.")
    words = " ".join(read(build_report(folder)).words)
    low, high = (percent(bound) for bound in rate.interval)
    assert f"{rate.count} of {rate.total} (95 % CI {low[:-2]} to {high})" in words


def test_structures_are_embedded_in_rank_order(make_run, rows):
    folder = make_run([rows.rocksalt(5), rows.antifluorite(1), rows.failed(2, "invalid_input", "", numbers=None)])
    (folder / "cifs").mkdir()
    (folder / "cifs" / "c000005_MgO.cif").write_text("data_mgo")
    content = payload(build_report(folder))
    assert [s["id"] for s in content["structures"]] == ["c000001", "c000005"]
    assert content["structures"][1]["relaxed"]["lattice"][0] == 4.21
    assert content["cifs"] == {"c000005": "data_mgo"}
    assert {e["symbol"] for e in content["elements"].values()} == {"Li", "O", "Mg"}


def test_hostile_text_is_escaped_everywhere(make_run, rows):
    protocol = json.loads((make_run() / "run.json").read_text())["protocol"]
    attack = "<script>alert(1)</script>\"'&<b>"
    hostile = rows.rocksalt(0, id=attack, formula=attack, chemical_system=attack, reason=attack, status=attack,
                            model=attack, duplicate_of=attack)  # fmt: skip
    hostile[attack] = 1.0
    folder = make_run(
        [hostile, rows.rocksalt(1)], phases=[{"formula": attack, "formation_energy": -1.0, "source": attack}],
        settings={"model": attack, "sampler": attack}, citations=[attack],
        protocol=protocol | {"potential": attack, "follows": attack, "deviations": [attack]},
        versions={attack: attack}, timings={attack: {"seconds": 1.0}}, warnings=[attack],
    )  # fmt: skip
    path = build_report(folder)
    reader = read(path)
    assert [tag for tag, _ in reader.tags if tag in ("script", "b")].count("script") == 2
    assert "<script>alert" not in path.read_text()
    assert payload(path)["structures"]


def test_all_unknown(make_run, rows):
    unknown = dict.fromkeys(
        ("energy_per_atom", "formation_energy", "energy_above_hull", "rmsd_to_relaxed", "density"), float("nan")
    )
    content = [rows.rocksalt(i, **unknown, is_stable=None, is_novel=None, is_unique=None) for i in range(3)]
    words = " ".join(read(build_report(make_run(content))).words)
    assert "nan" not in words.lower().split()
    assert "No crystal has a known value." in words
    assert "Nothing survived the step “placed on the hull”" in words


def test_nothing_survived(make_run, rows):
    content = [rows.failed(i, "time_limit", "60 s used") for i in range(5)]
    words = " ".join(read(build_report(make_run(content))).words)
    assert "Nothing survived the step “relaxed”" in words
    assert "more time" in words


def test_no_candidates_at_all(make_run):
    words = " ".join(read(build_report(make_run([], phases=None, chunk_plan=[[0, 4]]))).words)
    assert "Nothing was generated" in words
    assert "not finished" in words


@pytest.mark.parametrize("missing", ["timings", "citations", "versions"])
def test_a_record_without(make_run, missing):
    folder = make_run()
    record = json.loads((folder / "run.json").read_text())
    del record[missing]
    (folder / "run.json").write_text(json.dumps(record))
    read(build_report(folder))


def test_large_runs_stay_small(make_run, rows):
    folder = make_run([rows.rocksalt(i, id=f"c{i:06d}") for i in range(1100)])
    path = build_report(folder)
    assert path.stat().st_size < 1.5e6
    assert "1000 of 1100" in " ".join(read(path).words)
    assert len(payload(path)["structures"]) == 200


def test_same_run_same_bytes(make_run):
    folder = make_run()
    first = build_report(folder).read_bytes()
    assert build_report(folder).read_bytes() == first


def test_unwritable_place_is_one_clear_line(make_run):
    folder = make_run()
    (folder / "report.html.part").mkdir()
    with pytest.raises(UserError, match="report.html: found"):
        build_report(folder)
