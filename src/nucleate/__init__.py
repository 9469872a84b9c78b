"""Inverse design of inorganic crystals: generate, screen, rank and report."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "design": "nucleate.verbs",
    "generate": "nucleate.verbs",
    "screen": "nucleate.verbs",
    "evaluate": "nucleate.verbs",
    "compare": "nucleate.verbs",
    "phase_diagram": "nucleate.verbs",
    "wyckoff": "nucleate.verbs",
    "self_check": "nucleate.verbs",
    "train": "nucleate.verbs",
    "finetune": "nucleate.verbs",
    "train_predictor": "nucleate.verbs",
    "predict": "nucleate.verbs",
    "orderings": "nucleate.verbs",
    "magnets": "nucleate.verbs",
    "load": "nucleate.verbs",
    "convert": "nucleate.verbs",
    "import_model": "nucleate.verbs",
    "write_report": "nucleate.verbs",
    "Conditions": "nucleate.crystal.conditions",
    "Crystals": "nucleate.crystal.crystals",
    "UserError": "nucleate.errors",
    "Status": "nucleate.errors",
}

__all__ = [*_PUBLIC, "__version__"]


def __getattr__(name: str) -> Any:
    """Public names load what they need when first used, so that ``import nucleate`` and ``--help`` stay fast."""
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'nucleate' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
