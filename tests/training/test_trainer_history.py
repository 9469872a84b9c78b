"""Loss curves as files."""

import csv

from nucleate.training.trainer import History


def test_csv_and_png(tmp_path):
    history = History(tmp_path)
    history.write()
    assert not (tmp_path / "losses.csv").exists()
    for step in range(1, 251):
        history.accumulate(step, {"total": float(step), "cell": 1.0}, step / 10)
    history.add(250, "validation", {"total": 7.0, "cell": 2.0}, 25.0)
    history.flush(250, 25.0)
    history.flush(250, 25.0)
    history.write()
    rows = list(csv.DictReader((tmp_path / "losses.csv").open()))
    assert [(int(r["step"]), r["split"], float(r["total"])) for r in rows] == [
        (100, "train", 50.5), (200, "train", 150.5), (250, "validation", 7.0), (250, "train", 225.5),
    ]  # fmt: skip
    assert (tmp_path / "losses.png").read_bytes().startswith(b"\x89PNG")


def test_a_restored_history_goes_on_as_it_would_have(tmp_path):
    import json

    one, other = History(tmp_path), History(tmp_path)
    for step in range(1, 151):
        one.accumulate(step, {"total": 1 / step}, 0.0)
    other.restore(json.loads(json.dumps(one.state())))
    for history in (one, other):
        for step in range(151, 301):
            history.accumulate(step, {"total": 1 / step}, 0.0)
    assert one.state() == other.state()
