"""How docstrings and names are worded: shapes, units, and words that the field has better ones for."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator, Mapping

SHAPE = re.compile(r"\bshapes? ?\(|\b(?:same|of the) shapes?\b|\bshape of\b|\bscalars?\b|\w ?× ?\w")
"""Words that tell a shape, beside tuples such as (B, N, 3)."""
SYMBOL = re.compile(r"\.\.\.|[A-Z]\w?|[a-z]|[A-Z][A-Z_0-9]+|\*\w+|\d+ ?[A-Za-z]\w?")
"""What only a tuple of sizes holds: a symbol, the name of a constant, dots."""
SIZE = re.compile(rf"{SYMBOL.pattern}|\d+|[a-z_]+")
UNIT = re.compile(
    r"Å|\beV\b|\bmeV\b|\b[GM]Pa\b|(?:\d ?|\bin |\(|\bof )[KT]\b|[µμ]B\b|°|\b(?i:degrees?|radians?)\b"
    r"|\b(?i:(?:milli)?seconds?|minutes?|hours?)\b|\d ?m?s\b|\bin m?s\b|\b(?i:bits?|nats?)\b|\b[TG]Hz\b"
    r"|\b(?:px|pixels?)\b|g/cm|g/mol|\bJ/|\bkJ\b|\bcm\b|\bamu\b"
)
NO_UNIT = re.compile(
    r"(?i)%|\bper ?cent\b|\bshares?\b|\bfraction(?:s|al)?\b|\bdimensionless\b|\bunitless\b|\bno unit\b|\bratios?\b"
    r"|\bprobabilit(?:y|ies)\b|\brelative\b|\b(?:between|from) 0 (?:and|to) 1\b|\b0 to 1\b|[\[(]0, 1[\])]|\b0\.\.1\b"
)
"""Words that say of a number that it has no unit."""

PRIVATE = {
    r"settl(?:e[sd]?|ing)": "symmetrize after relaxation",
    r"rivals?": "competing phases",
    r"intake": "validate",
    r"raw ?crystals?": "ParsedStructure",
    r"first cells": "initial cells",
    r"heights": "energies above hull",
    r"rejudg(?:e[sd]?|ing)": "re-evaluate",
    r"hand over": "export",
    r"label screen": "protostructure filter",
    r"side by side": "benchmark, reference comparison",
    r"orbit walk": "autoregressive sampler",
    r"tied": "symmetry-constrained",
    r"told": "conditioning, mask",
    r"pinned": "fixed species",
    r"(?<!figure of )(?<!figures of )merits?": "score",
    r"onto symmetry": "symmetrize",
    r"generic symmetry": "preserves the space group",
    r"oracles?": "predictor",
    r"siev(?:e[sd]?|ing)": "prescreen",
    r"hunt(?:s|ed|ing)?": "campaign",
    r"other interpreter": "subprocess potential",
}
"""Private words, with those of the field."""
PRIVATE_NAMES = {
    r"apart": "evaluate with fallback",
    r"admit(?:s|ted)?": "validate",
    r"asked|given": "conditioning, mask",
    r"walk(?:s|er|ed|ing)?": "reverse diffusion, sampling",
    r"drawing": "prefilter by energy",
    r"finishing": "export",
    r"comparing": "benchmark, reference comparison",
    r"judg(?:e[sd]?|ing)": "evaluator of candidates",
    r"answers?": "Prediction",
    r"streams": "random generators",
    r"verbs?": "api",
}
"""Words that plain English needs in sentences, but no name."""


def names_shape(text: str) -> bool:
    """True where a text tells the shape of something."""
    return bool(SHAPE.search(text)) or any(map(_is_shape, re.findall(r"\(([^()]*)\)", text)))


def _is_shape(inside: str) -> bool:
    """What stands in parentheses is a tuple of sizes, and not of numbers alone, as an interval is."""
    items = [item.strip() for item in inside.split(",")]
    if len(items) == 2 and not items[1]:  # (steps + 1,): nothing but a shape ends with a comma
        return bool(items[0])
    sizes = [part.strip() for item in items for part in re.split(r"(?!^)[+\-*/·]", item)]
    return len(items) > 1 and all(map(SIZE.fullmatch, sizes)) and any(map(SYMBOL.fullmatch, sizes))


def names_unit(text: str) -> bool:
    """True where a text tells a unit, or that there is none."""
    return bool(UNIT.search(text) or NO_UNIT.search(text))


def private_words(text: str, table: Mapping[str, str]) -> Iterator[tuple[int, str, str]]:
    """Line within the text, counted from 0, of each word of the table; the word, and the one to take."""
    for word, term in table.items():
        for hit in re.finditer(rf"\b(?:{word})\b", text, flags=re.IGNORECASE):
            yield text.count("\n", 0, hit.start()), hit[0], term


def spoken(name: str) -> str:
    """The words of a name: ``RawCrystal`` and ``raw_crystal`` are both "raw crystal"."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).replace("_", " ").lower().strip()


def comments_in(text: str) -> int:
    """Number of comments in a source, those for linters left out."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    found = (token.string for token in tokens if token.type == tokenize.COMMENT)
    return sum(not re.match(r"#\s*(noqa|type:|pragma|ruff:|mypy:|!)", comment) for comment in found)
