"""The verbs of the command line, for Python: ``nucleate.design(...)``, ``nucleate.load("pigen-mp")``."""

from nucleate.verbs.comparing import compare
from nucleate.verbs.files import as_crystals, convert, import_model, write_report
from nucleate.verbs.generation import design, generate, load, phase_diagram, wyckoff
from nucleate.verbs.hunting import magnets
from nucleate.verbs.judging import evaluate, orderings, screen, self_check
from nucleate.verbs.learning import finetune, predict, train, train_predictor

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
