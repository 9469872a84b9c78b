"""The crystals that tests of descriptors share, as a fixture."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

sys.path.append(str(Path(__file__).parent))


@pytest.fixture(scope="session")
def samples() -> ModuleType:
    """The module ``crystal_samples``."""
    return importlib.import_module("crystal_samples")
