"""Inverse design of inorganic crystals: generate, screen, rank and report."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "design": "nucleate.api",
    "generate": "nucleate.api",
    "screen": "nucleate.api",
    "evaluate": "nucleate.api",
    "compare": "nucleate.api",
    "phase_diagram": "nucleate.api",
    "wyckoff": "nucleate.api",
    "self_check": "nucleate.api",
    "train": "nucleate.api",
    "finetune": "nucleate.api",
    "predict": "nucleate.api",
    "orderings": "nucleate.api",
    "magnets": "nucleate.api",
    "load": "nucleate.api",
    "convert": "nucleate.api",
    "import_model": "nucleate.api",
    "write_report": "nucleate.api",
    "Conditions": "nucleate.conditions.request",
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
