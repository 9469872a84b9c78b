"""Only a crystal whose relaxation ended well can be stable; an unknown distance is unknown."""

import pandas as pd

from nucleate.screening.ranking import is_stable


def test_threshold_status_and_unknown_distance() -> None:
    table = pd.DataFrame(
        {
            "status": ["ok", "ok", "ok", "unconverged", "no_reference", "ok", "error"],
            "energy_above_hull": [0.1, 0.1001, -0.02, 0.0, float("nan"), None, float("nan")],
        },
        index=range(5, 12),
    )
    answer = is_stable(table)
    assert answer.index.equals(table.index)
    assert answer.isna().tolist() == [False, False, False, False, True, True, False]
    assert answer.dropna().tolist() == [True, False, True, False, False]
    assert is_stable(table, threshold=0.0).sum() == 1
