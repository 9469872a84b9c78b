"""A sweep of common prototypes over the elements, the likeliest crystals first.

Ionic crystals (``charge_balanced``, ``ternary``) take oxidation states whose charges cancel; a candidate's weight is
the product of how common its prototype and oxidation states are and how well its radius ratios fit the coordination
(Pauling's first rule: L. Pauling, J. Am. Chem. Soc. 51, 1010 (1929)). Their cells are scaled until cations and anions
touch, with Shannon's cation radii (R. D. Shannon, Acta Cryst. A 32, 751 (1976)). Metallic crystals (``intermetallic``)
are weighted by prototype, size ratio and Miedema's rule for the sign of the heat of formation (F. R. de Boer, R. Boom,
W. C. M. Mattens, A. R. Miedema and A. K. Niessen, Cohesion in Metals, North-Holland (1988)); their atoms keep the
volumes that they have as elements (Zen's law: E. Zen, Am. Mineral. 41, 523 (1956)).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, reduce
from itertools import permutations, product
from math import exp, gcd, log, prod, sqrt

import numpy as np
import torch
from pymatgen.core import Element

from nucleate.crystal.crystals import Crystals
from nucleate.crystal.elements import NOBLE_GASES, NUMBERS, SYMBOLS
from nucleate.data.literature import load_literature, primitive
from nucleate.data.prototype_templates import Template, load_templates, touching_scale, unit_cell
from nucleate.errors import UserError

# What a sweep can be over, and the smallest weight worth a relaxation.
KINDS: dict[str, float] = {"charge_balanced": 1e-3, "intermetallic": 0.15, "ternary": 0.3}

# Prototype, coordination of each label (0 for the anion) and how common it is among ionic crystals of its formula type,
# by judgement of the bundled literature table.
IONIC_BINARIES: tuple[tuple[str, dict[str, int], float], ...] = (
    ("rocksalt", {"A": 6, "B": 0}, 1.0),
    ("CsCl", {"A": 8, "B": 0}, 0.3),
    ("zinc blende", {"A": 4, "B": 0}, 0.7),
    ("wurtzite", {"A": 4, "B": 0}, 0.6),
    ("NiAs", {"A": 6, "B": 0}, 0.5),
    ("PbO litharge", {"A": 4, "B": 0}, 0.1),
    ("PtS", {"A": 4, "B": 0}, 0.08),
    ("SnS", {"A": 6, "B": 0}, 0.1),
    ("fluorite", {"A": 8, "B": 0}, 1.0),
    ("rutile", {"A": 6, "B": 0}, 0.9),
    ("CdI2", {"A": 6, "B": 0}, 0.7),
    ("CdCl2", {"A": 6, "B": 0}, 0.5),
    ("PbCl2", {"A": 8, "B": 0}, 0.4),
    ("2H-MoS2", {"A": 6, "B": 0}, 0.2),
    ("fluorite", {"A": 0, "B": 4}, 1.0),
    ("CdCl2", {"A": 0, "B": 4}, 0.2),
    ("PbCl2", {"A": 0, "B": 4}, 0.3),
    ("cuprite", {"A": 4, "B": 0}, 0.1),
    ("corundum", {"A": 6, "B": 0}, 0.8),
    ("bixbyite", {"A": 6, "B": 0}, 0.6),
    ("La2O3", {"A": 8, "B": 0}, 0.6),
    ("Bi2Te3", {"A": 6, "B": 0}, 0.3),
    ("La2O3", {"A": 0, "B": 4}, 0.6),
    ("bixbyite", {"A": 0, "B": 4}, 0.5),
    ("VF3", {"A": 6, "B": 0}, 0.6),
    ("BiI3", {"A": 6, "B": 0}, 0.5),
    ("UCl3", {"A": 8, "B": 0}, 0.5),
    ("ReO3", {"A": 6, "B": 0}, 0.3),
    ("BiF3", {"A": 8, "B": 0}, 0.3),
    ("BiF3", {"A": 0, "B": 6}, 0.7),
    ("Na3As", {"A": 0, "B": 4}, 0.7),
    ("ReO3", {"A": 0, "B": 4}, 0.1),
    ("Th3P4", {"A": 8, "B": 0}, 0.6),
    ("Th3P4", {"A": 0, "B": 6}, 0.5),
    ("beta-Si3N4", {"A": 4, "B": 0}, 0.5),
)

IONIC_TERNARIES: tuple[tuple[str, dict[str, int], float], ...] = (
    ("perovskite", {"A": 12, "B": 6, "C": 0}, 1.0),
    ("ilmenite", {"A": 6, "B": 6, "C": 0}, 0.4),
    ("spinel", {"A": 4, "B": 6, "C": 0}, 0.9),
    ("K2NiF4", {"A": 8, "B": 6, "C": 0}, 0.7),
    ("alpha-NaFeO2", {"A": 6, "B": 6, "C": 0}, 0.9),
    ("delafossite", {"A": 4, "B": 6, "C": 0}, 0.2),
    ("chalcopyrite", {"A": 4, "B": 4, "C": 0}, 0.6),
    ("K2PtCl6", {"A": 12, "B": 6, "C": 0}, 0.7),
    ("zircon", {"A": 8, "B": 4, "C": 0}, 0.4),
    ("half-Heusler", {"A": 6, "B": 0, "C": 4}, 0.5),
    ("CaAl2Si2", {"A": 6, "B": 4, "C": 0}, 0.5),
)

# Prototype, how common it is and the ratio of the metallic radii of A and B that favours it (0 where size matters
# little).
METALLIC: tuple[tuple[str, float, float], ...] = (
    ("CsCl", 1.0, 0.0),
    ("Cu3Au", 1.0, 0.0),
    ("MgCu2", 1.0, 1.225),
    ("MgZn2", 0.8, 1.225),
    ("CaCu5", 0.6, 1.4),
    ("CrB", 0.5, 0.0),
    ("FeB", 0.4, 0.0),
    ("MoSi2", 0.4, 0.0),
    ("CuAl2", 0.5, 0.9),
    ("A15", 0.5, 1.0),
    ("CuAu", 0.5, 1.0),
    ("AlB2", 0.5, 1.4),
    ("Ni2In", 0.4, 0.0),
    ("Ni3Sn", 0.5, 0.0),
    ("TiAl3", 0.3, 1.0),
    ("BiF3", 0.3, 0.0),
    ("Mn5Si3", 0.4, 1.2),
    ("NiAs", 0.3, 0.0),
    ("MnP", 0.3, 0.0),
    ("FeSi", 0.3, 0.0),
    ("fluorite", 0.2, 0.0),
    ("CrSi2", 0.2, 0.0),
    ("NaTl", 0.2, 1.0),
    ("Cu2Sb", 0.2, 0.0),
    ("Ni3Ti", 0.2, 1.0),
    ("ZrAl3", 0.2, 1.0),
    ("WC", 0.1, 1.5),
    ("CoSn", 0.1, 0.0),
    ("CaB6", 0.1, 2.0),
)

# Radii in Å that, added to Shannon's cation radii, give the distances of the bundled literature table; oxide, fluoride
# and the heavier halides and chalcogenides are Shannon's own.
ANIONS: dict[str, tuple[int, float, float]] = {
    # symbol: charge, radius, how common
    "H": (-1, 1.35, 0.6),
    "C": (-4, 1.58, 0.4),
    "N": (-3, 1.50, 0.7),
    "O": (-2, 1.40, 1.0),
    "F": (-1, 1.33, 0.9),
    "Si": (-4, 2.20, 0.3),
    "P": (-3, 1.92, 0.6),
    "S": (-2, 1.84, 0.9),
    "Cl": (-1, 1.81, 0.9),
    "Ge": (-4, 2.19, 0.3),
    "As": (-3, 2.00, 0.6),
    "Se": (-2, 1.98, 0.8),
    "Br": (-1, 1.96, 0.8),
    "Sn": (-4, 2.36, 0.2),
    "Sb": (-3, 2.21, 0.5),
    "Te": (-2, 2.21, 0.7),
    "I": (-1, 2.20, 0.8),
    "Bi": (-3, 2.27, 0.3),
}

# Radii in Å of elements whose own crystals are open, in close-packed metallic surroundings.
METALLIC_RADII: dict[str, float] = {"B": 0.98, "Si": 1.32, "P": 1.28, "Ga": 1.41, "Ge": 1.37, "As": 1.39}

# Miedema's electronegativity φ* in V, cube root of the electron density at the cell boundary in density units, and
# hybridisation R/P in V² with transition metals (0 for those themselves).
MIEDEMA: dict[str, tuple[float, float, float]] = {
    "Li": (2.85, 0.98, 0.0), "Na": (2.70, 0.82, 0.0), "K": (2.25, 0.65, 0.0), "Rb": (2.10, 0.60, 0.0),
    "Cs": (1.95, 0.55, 0.0), "Be": (5.05, 1.67, 0.4), "Mg": (3.45, 1.17, 0.4), "Ca": (2.55, 0.91, 0.0),
    "Sr": (2.40, 0.84, 0.0), "Ba": (2.32, 0.81, 0.0), "Sc": (3.25, 1.27, 0.0), "Y": (3.20, 1.21, 0.0),
    "La": (3.17, 1.18, 0.0), "Ce": (3.18, 1.19, 0.0), "Pr": (3.19, 1.20, 0.0), "Nd": (3.19, 1.20, 0.0),
    "Pm": (3.19, 1.21, 0.0), "Sm": (3.20, 1.21, 0.0), "Eu": (2.50, 0.88, 0.0), "Gd": (3.20, 1.21, 0.0),
    "Tb": (3.21, 1.22, 0.0), "Dy": (3.21, 1.22, 0.0), "Ho": (3.22, 1.22, 0.0), "Er": (3.22, 1.23, 0.0),
    "Tm": (3.22, 1.23, 0.0), "Yb": (2.50, 0.86, 0.0), "Lu": (3.22, 1.24, 0.0), "Th": (3.30, 1.28, 0.0),
    "U": (3.90, 1.51, 0.0), "Pu": (3.80, 1.44, 0.0), "Ti": (3.80, 1.52, 0.0), "Zr": (3.45, 1.41, 0.0),
    "Hf": (3.60, 1.45, 0.0), "V": (4.25, 1.64, 0.0), "Nb": (4.05, 1.64, 0.0), "Ta": (4.05, 1.63, 0.0),
    "Cr": (4.65, 1.73, 0.0), "Mo": (4.65, 1.77, 0.0), "W": (4.80, 1.81, 0.0), "Mn": (4.45, 1.61, 0.0),
    "Tc": (5.30, 1.81, 0.0), "Re": (5.20, 1.85, 0.0), "Fe": (4.93, 1.77, 0.0), "Ru": (5.40, 1.83, 0.0),
    "Os": (5.40, 1.85, 0.0), "Co": (5.10, 1.75, 0.0), "Rh": (5.40, 1.76, 0.0), "Ir": (5.55, 1.83, 0.0),
    "Ni": (5.20, 1.75, 0.0), "Pd": (5.45, 1.67, 0.0), "Pt": (5.65, 1.78, 0.0), "Cu": (4.45, 1.47, 0.0),
    "Ag": (4.35, 1.36, 0.0), "Au": (5.15, 1.57, 0.0), "Zn": (4.10, 1.32, 1.4), "Cd": (4.05, 1.24, 1.4),
    "Hg": (4.20, 1.24, 1.4), "B": (5.30, 1.75, 1.9), "Al": (4.20, 1.39, 1.9), "Ga": (4.10, 1.31, 1.9),
    "In": (3.90, 1.17, 1.9), "Tl": (3.90, 1.12, 1.9), "Si": (4.70, 1.50, 2.1), "Ge": (4.55, 1.37, 2.1),
    "Sn": (4.15, 1.24, 2.1), "Pb": (4.10, 1.15, 2.1), "P": (5.55, 1.65, 2.3), "As": (4.80, 1.44, 2.3),
    "Sb": (4.40, 1.26, 2.3), "Bi": (4.15, 1.16, 2.3),
}  # fmt: skip

RARE = frozenset(["Tc", "Pm", "Po", "Ra", "Ac", "Pa", "Np", "Pu"])


@dataclass(frozen=True)
class Candidate:
    """One crystal of the sweep, not yet built.

    Attributes:
        name: ``proto-<formula>-<space group>-<prototype>``.
        template: The prototype.
        numbers: Atomic number of each of its labels.
        radii: Ionic radius of each label in Å, negative for anions; empty for a metallic crystal.
        weight: Estimated likelihood, up to a factor.
    """

    name: str
    template: Template
    numbers: tuple[int, ...]
    radii: tuple[float, ...]
    weight: float

    def build(self) -> Crystals:
        """The primitive cell, scaled by its radii or, for a metallic crystal, by its elements' volumes."""
        cell = unit_cell(self.template)
        z, frac, lattice = self.template.expand(self.numbers, cell)
        if self.radii:
            scale = touching_scale(z, frac, lattice, dict(zip(self.numbers, self.radii, strict=True)))
        else:
            volume = sum(atomic_volumes()[int(n)] for n in z)
            scale = (volume / float(abs(np.linalg.det(lattice)))) ** (1 / 3)
        numbers, positions, vectors = primitive(z, frac, lattice * scale)
        return Crystals.from_lists(
            [torch.from_numpy(numbers)], [torch.from_numpy(positions)], torch.from_numpy(vectors)[None]
        )


def sweep(kind: str = "charge_balanced", start: int = 0) -> Iterator[tuple[Crystals, str]]:
    """Crystals of the sweep in order, each built only when it is asked for and not relaxed.

    Args:
        kind: "charge_balanced" (ionic pairs), "intermetallic" (metal pairs) or "ternary" (ionic triples).
        start: Index of the first crystal, to resume.

    Yields:
        A batch of one crystal in float64, and its name.

    Raises:
        UserError: There is no such kind.
    """
    for candidate in plan(kind)[start:]:
        yield candidate.build(), candidate.name


@cache
def plan(kind: str) -> tuple[Candidate, ...]:
    """All candidates of a kind, likeliest first, ties by name.

    Raises:
        UserError: There is no such kind.
    """
    if kind not in KINDS:
        raise UserError("kind of sweep", repr(kind), " or ".join(KINDS))
    if kind == "intermetallic":
        found = _metallic(KINDS[kind])
    else:
        found = _ionic(IONIC_BINARIES if kind == "charge_balanced" else IONIC_TERNARIES, KINDS[kind])
    best: dict[str, Candidate] = {}
    for candidate in found:
        if candidate.name not in best or candidate.weight > best[candidate.name].weight:
            best[candidate.name] = candidate
    return tuple(sorted(best.values(), key=lambda c: (-c.weight, c.name)))


def _ionic(prototypes: Sequence[tuple[str, dict[str, int], float]], smallest: float) -> Iterator[Candidate]:
    templates = load_templates()
    for (name, coordination, prior), (anion, (charge, radius, common)) in product(prototypes, ANIONS.items()):
        template = templates[name]
        counts = template.counts
        labels = [label for label in template.labels if coordination[label]]
        (anion_label,) = (label for label in template.labels if not coordination[label])
        fits = []
        for label in labels:
            weights = [
                (z, q * counts[label], r, w * _radius_fit(r / radius, coordination[label]))
                for z, q, r, w in _cations(coordination[label])
                if SYMBOLS[z] != anion
            ]
            fits.append([fit for fit in weights if prior * common * fit[3] >= smallest])
        for chosen in product(*fits):
            elements = dict(zip(labels, (z for z, *_ in chosen), strict=True))
            if sum(q for _, q, _, _ in chosen) + counts[anion_label] * charge or len({*elements.values()}) < len(
                labels
            ):
                continue
            sizes = dict(zip(labels, (r for _, _, r, _ in chosen), strict=True))
            weight = prior * common * prod(w for *_, w in chosen)
            if name == "perovskite":
                # Goldschmidt's tolerance factor (V. M. Goldschmidt, Naturwissenschaften 14, 477 (1926))
                tolerance = (sizes["A"] + radius) / (sqrt(2.0) * (sizes["B"] + radius))
                weight *= exp(-0.5 * ((tolerance - 0.95) / 0.07) ** 2)
            if weight >= smallest:
                sizes[anion_label], elements[anion_label] = -radius, NUMBERS[anion]
                yield _candidate(template, elements, sizes, weight)


def _metallic(smallest: float) -> Iterator[Candidate]:
    templates = load_templates()
    volumes = atomic_volumes()
    metals = [NUMBERS[symbol] for symbol in MIEDEMA]
    for a, b in permutations(metals, 2):
        ratio = log(volumes[a] / volumes[b]) / 3.0
        bonding = 1.0 / (1.0 + exp(2.0 * formation_tendency(SYMBOLS[a], SYMBOLS[b])))
        bonding *= 0.1 ** sum(SYMBOLS[z] in RARE for z in (a, b))
        for name, prior, ideal in METALLIC:
            size = exp(-0.5 * ((ratio - log(ideal)) / 0.1) ** 2) if ideal else 0.6
            if prior * size * bonding >= smallest:
                yield _candidate(templates[name], {"A": a, "B": b}, {}, prior * size * bonding)


def _candidate(template: Template, elements: Mapping[str, int], sizes: Mapping[str, float], weight: float) -> Candidate:
    counts = template.counts
    divisor = reduce(gcd, counts.values())
    formula = "".join(
        SYMBOLS[elements[label]] + (str(counts[label] // divisor) if counts[label] != divisor else "")
        for label in sorted(template.labels, key=lambda label: sizes.get(label, 0.0) < 0)  # the anion last
    )
    return Candidate(
        f"proto-{formula}-{template.space_group}-{template.name.replace(' ', '_')}",
        template,
        tuple(elements[label] for label in template.labels),
        tuple(sizes[label] for label in template.labels) if sizes else (),
        weight,
    )


def _radius_fit(ratio: float, coordination: int) -> float:
    """1 inside the stable window of cation over anion radius, falling off as a Gaussian outside."""
    low, high = {4: (0.2, 0.45), 6: (0.41, 0.75), 8: (0.65, 1.0), 12: (0.85, 1.3)}[coordination]
    return exp(-0.5 * (max(low - ratio, 0.0, ratio - high) / 0.12) ** 2)


@cache
def _cations(coordination: int) -> tuple[tuple[int, int, float, float], ...]:
    """Atomic number, charge, Shannon radius (Å) at a coordination and commonness of every cation."""
    roman = {4: "IV", 6: "VI", 8: "VIII", 12: "XII"}
    cations = []
    for z in range(1, 95):
        if z in NOBLE_GASES or SYMBOLS[z] in ("H", "At", "Fr"):
            continue
        element = Element.from_Z(z)
        shannon = element.data.get("Shannon radii") or {}
        for charge in sorted({*element.common_oxidation_states, *element.icsd_oxidation_states}):
            by_coordination = shannon.get(str(charge))
            if charge <= 0 or not by_coordination:
                continue
            known = [n for n in roman if roman[n] in by_coordination]
            if not known:
                continue
            nearest = min(known, key=lambda n: (abs(n - coordination), n))
            spins = by_coordination[roman[nearest]]
            # the high-spin radius where there are two: most compounds of 3d ions are high-spin
            radius = max(float(entry["ionic_radius"]) for entry in spins.values())
            # Shannon's radii grow by about 0.08 Å for each neighbour from 4 to 6 and 0.05 Å beyond
            radius += (0.08 if max(coordination, nearest) <= 6 else 0.05) * (coordination - nearest)
            common = 1.0 if charge in element.common_oxidation_states else 0.4
            cations.append((z, charge, max(radius, 0.1), common * (0.1 if SYMBOLS[z] in RARE else 1.0)))
    return tuple(cations)


def formation_tendency(a: str, b: str) -> float:
    """Miedema's heat of formation of two metals, up to a positive factor: -(Δφ)² + 9.4 (Δn^1/3)² - R, in V².

    A transition metal with a metal of the s-p block hybridises and gains R.
    """
    (phi_a, density_a, p_a), (phi_b, density_b, p_b) = MIEDEMA[a], MIEDEMA[b]
    hybridisation = max(p_a, p_b) if (p_a > 0) != (p_b > 0) else 0.0
    return -((phi_a - phi_b) ** 2) + 9.4 * (density_a - density_b) ** 2 - hybridisation


@cache
def atomic_volumes() -> dict[int, float]:
    """Volume of an atom in Å³ in its element's crystal, or from its metallic radius where that crystal is open."""
    crystals, _ = load_literature()
    per_atom = crystals.volume / crystals.n_atoms
    elements = (crystals.numbers == crystals.numbers[:, :1]).logical_or(~crystals.mask).all(dim=1)
    volumes: dict[int, float] = {}
    for i in torch.nonzero(elements).flatten().tolist():
        # the table lists an element's ground state before its other forms
        volumes.setdefault(int(crystals.numbers[i, 0]), float(per_atom[i]))
    return {**volumes, **{NUMBERS[s]: 4.0 * sqrt(2.0) * r**3 for s, r in METALLIC_RADII.items()}}
