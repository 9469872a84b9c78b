"""The verbs of the command line, for Python: ``nucleate.design(...)``, ``nucleate.load("pigen-mp")``."""

from nucleate.api.comparing import compare
from nucleate.api.files import as_crystals, convert, import_model, write_report
from nucleate.api.generation import design, generate, load, phase_diagram, wyckoff
from nucleate.api.magnets import magnets
from nucleate.api.models import finetune, predict, train, train_predictor
from nucleate.api.screening import evaluate, orderings, screen, self_check

__all__ = [
    "as_crystals",
    "compare",
    "convert",
    "design",
    "evaluate",
    "finetune",
    "generate",
    "import_model",
    "load",
    "magnets",
    "orderings",
    "phase_diagram",
    "predict",
    "screen",
    "self_check",
    "train",
    "train_predictor",
    "write_report",
    "wyckoff",
]
