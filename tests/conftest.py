"""Fixtures shared by all tests."""

from pathlib import Path

import pytest
from hypothesis import settings

# The same examples in every run, and no deadline: the machines that run this differ widely.
settings.register_profile("nucleate", deadline=None, derandomize=True, max_examples=25)
settings.load_profile("nucleate")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with real structures beside the checkout; tests that want it skip where it is missing."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not (folder / "mp" / "train.csv.gz").exists():
        pytest.skip("needs the Materials Project sample beside the checkout")
    return folder
