"""The same numbers as before: what commands at fixed seeds print and write, beside what they gave when last recorded.

This pins results, not their truth. A change that only moves code must pass as it is; one that means to change results
writes the numbers anew with ``scripts/expected_numbers.py``, and the changelog says so.

Only what a user sees is read: the command line, JSON on standard output, tables, exported structures, weights. Ids,
formulas, statuses, space groups, counts and flags must be equal. Energies may differ by 2 meV/atom, lengths by 0.01
Å, angles by 0.2°, fractional coordinates by 0.005, other numbers by 0.002 and half a percent: that is room for the
noise of another processor or library, not for another method. It is not room for everything that noise can do: a walk
or a relaxation that comes to a fork may go the other way elsewhere. On the machine that wrote the numbers,
``scripts/expected_numbers.py --check`` wants the same digits. New columns, keys and files, and another order of
columns, are no difference. Times, versions, prose and pages are not compared.
"""

import json
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))

from cases import CASES, run_case
from summaries import differences

SHOWN = 20


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, marks=[pytest.mark.slow] if case.slow else [], id=case.name) for case in CASES],
)
def test_a_command_gives_the_same_numbers(case, tmp_path):
    if case.needs is not None and not case.needs.exists():
        pytest.skip(f"needs {case.needs.name} of the Materials Project sample beside the checkout")
    found = json.loads(json.dumps(run_case(case, tmp_path)))
    lines = differences(json.loads(case.expected.read_text(encoding="utf-8")), found)
    assert not lines, "\n".join([f"{len(lines)} differences", *lines[:SHOWN]])
