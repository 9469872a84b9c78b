"""Write docs/columns.md from the table of columns."""

from pathlib import Path

from nucleate.runs.columns import page

if __name__ == "__main__":
    target = Path(__file__).resolve().parents[1] / "docs" / "columns.md"
    target.write_text(page(), encoding="utf-8")
