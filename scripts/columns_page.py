"""Write docs/columns.md and docs/conditions.md from the tables of columns and of quantities."""

from pathlib import Path

from nucleate.conditions import quantities
from nucleate.runs import columns

if __name__ == "__main__":
    docs = Path(__file__).resolve().parents[1] / "docs"
    (docs / "columns.md").write_text(columns.page(), encoding="utf-8")
    (docs / "conditions.md").write_text(quantities.page(), encoding="utf-8")
