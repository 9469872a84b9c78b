"""Write the numbers that tests/regression compares with anew, or check that they come out in every digit.

    python scripts/expected_numbers.py [NAME ...]           write those of all cases, or of the named ones
    python scripts/expected_numbers.py --check [NAME ...]   list every digit that differs; exit code 1 if any does

Run it with OMP_NUM_THREADS=1, on a machine that has the Materials Project sample beside the checkout. A change of the
numbers is a change of results: the changelog has to say why.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests" / "regression"))

from cases import CASES, run_case
from summaries import differences, written


def main() -> int:
    """Exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="cases; all by default")
    parser.add_argument("--check", action="store_true", help="write nothing, compare every digit")
    asked = parser.parse_args()
    unknown = set(asked.names) - {case.name for case in CASES}
    if unknown:
        parser.error(f"no such case: {', '.join(sorted(unknown))}; there are {', '.join(c.name for c in CASES)}")
    failed = 0
    for case in CASES:
        if asked.names and case.name not in asked.names:
            continue
        if case.needs is not None and not case.needs.exists():
            print(f"{case.name}: left out, {case.needs.name} is missing")
            continue
        start = time.process_time()
        with tempfile.TemporaryDirectory() as folder:
            found = run_case(case, Path(folder))
        took = f"{time.process_time() - start:.1f} s of this process"
        if asked.check:
            expected = json.loads(case.expected.read_text(encoding="utf-8"))
            lines = differences(expected, json.loads(json.dumps(found)), scale=0)
            failed += bool(lines)
            print("\n  ".join([f"{case.name}: {len(lines)} differences, {took}", *lines[:20]]), flush=True)
        else:
            case.expected.parent.mkdir(exist_ok=True)
            case.expected.write_text(written(found), encoding="utf-8")
            print(f"{case.name}: {case.expected.stat().st_size / 1000:.1f} kB, {took}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
