"""Element tables as plain tuples indexed by atomic number, so that they need no other library."""

from __future__ import annotations

import re

from nucleate.errors import UserError

SYMBOLS: tuple[str, ...] = (
    "X",
    *(
        "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As "
        "Se Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd "
        "Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am "
        "Cm Bk Cf Es Fm Md No Lr "
    ).split(),
)
"""Chemical symbols; index 0 is the placeholder of padding."""

NUMBERS: dict[str, int] = {symbol: z for z, symbol in enumerate(SYMBOLS) if z}

# Covalent radii in Å, Z = 1 to 96: Cordero et al., Dalton Trans. 2832 (2008).
COVALENT_RADII: tuple[float, ...] = (
    0.0,
    0.31, 0.28, 1.28, 0.96, 0.84, 0.76, 0.71, 0.66, 0.57, 0.58, 1.66, 1.41, 1.21, 1.11, 1.07, 1.05,
    1.02, 1.06, 2.03, 1.76, 1.70, 1.60, 1.53, 1.39, 1.39, 1.32, 1.26, 1.24, 1.32, 1.22, 1.22, 1.20,
    1.19, 1.20, 1.20, 1.16, 2.20, 1.95, 1.90, 1.75, 1.64, 1.54, 1.47, 1.46, 1.42, 1.39, 1.45, 1.44,
    1.42, 1.39, 1.39, 1.38, 1.39, 1.40, 2.44, 2.15, 2.07, 2.04, 2.03, 2.01, 1.99, 1.98, 1.98, 1.96,
    1.94, 1.92, 1.92, 1.89, 1.90, 1.87, 1.87, 1.75, 1.70, 1.62, 1.51, 1.44, 1.41, 1.36, 1.36, 1.32,
    1.45, 1.46, 1.48, 1.40, 1.50, 1.50, 2.60, 2.21, 2.15, 2.06, 2.00, 1.96, 1.90, 1.87, 1.80, 1.69,
)  # fmt: skip

# Standard atomic weights in u, Z = 1 to 96: IUPAC 2016; the longest-lived isotope where there is none.
MASSES: tuple[float, ...] = (
    0.0,
    1.008, 4.003, 6.940, 9.012, 10.810, 12.011, 14.007, 15.999, 18.998, 20.180, 22.990, 24.305,
    26.982, 28.085, 30.974, 32.060, 35.450, 39.948, 39.098, 40.078, 44.956, 47.867, 50.941, 51.996,
    54.938, 55.845, 58.933, 58.693, 63.546, 65.380, 69.723, 72.630, 74.922, 78.971, 79.904, 83.798,
    85.468, 87.620, 88.906, 91.224, 92.906, 95.950, 97.907, 101.070, 102.906, 106.420, 107.868,
    112.414, 114.818, 118.710, 121.760, 127.600, 126.904, 131.293, 132.905, 137.327, 138.905,
    140.116, 140.908, 144.242, 144.913, 150.360, 151.964, 157.250, 158.925, 162.500, 164.930,
    167.259, 168.934, 173.054, 174.967, 178.490, 180.948, 183.840, 186.207, 190.230, 192.217,
    195.084, 196.967, 200.592, 204.380, 207.200, 208.980, 208.982, 209.987, 222.018, 223.020,
    226.025, 227.028, 232.038, 231.036, 238.029, 237.048, 244.064, 243.061, 247.070,
)  # fmt: skip

NOBLE_GASES: frozenset[int] = frozenset({2, 10, 18, 36, 54, 86})


def atomic_number(symbol: str, where: str = "element") -> int:
    """Atomic number of a chemical symbol.

    Raises:
        UserError: The symbol is not an element's; ``where`` names the place in the message.
    """
    try:
        return NUMBERS[symbol]
    except KeyError:
        raise UserError(where, repr(symbol), "a chemical symbol such as 'Li'") from None


def parse_formula(formula: str, where: str = "formula") -> dict[int, int]:
    """Element counts {Z: count} of a formula with integer counts; brackets are allowed.

    Raises:
        UserError: The text is not a formula of known elements with positive integer counts.
    """
    tokens = re.findall(r"[A-Z][a-z]?|[()]|\d+", formula)
    expected = "a formula such as MgAl2O4"
    if not formula or "".join(tokens) != formula:
        raise UserError(where, repr(formula), expected)
    stack: list[dict[int, int]] = [{}]
    last: dict[int, int] = {}  # what a following count multiplies
    for token in tokens:
        if token == "(":
            stack.append({})
            last = {}
        elif token == ")":
            if len(stack) == 1:
                raise UserError(where, repr(formula), expected)
            last = stack.pop()
            for z, count in last.items():
                stack[-1][z] = stack[-1].get(z, 0) + count
        elif token.isdigit():
            if not last or int(token) == 0:
                raise UserError(where, repr(formula), expected)
            for z, count in last.items():
                stack[-1][z] += count * (int(token) - 1)
            last = {}
        else:
            last = {atomic_number(token, where): 1}
            z = next(iter(last))
            stack[-1][z] = stack[-1].get(z, 0) + 1
    if len(stack) != 1:
        raise UserError(where, repr(formula), expected)
    return stack[0]
