"""Protostructures with no more symmetry than their space group."""

import pytest

from nucleate.search.cell_priors import is_generic
from nucleate.symmetry.protostructure import Protostructure


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("A2BC4_cF56_227_c_b_e:Al-Mg-O", True),
        ("A2B_tP6_136_f_a:O-Ti", True),
        ("A_cF4_225_a:Cu", True),
        ("A_cF8_225_c:Cu", False),  # a simple cubic lattice
        ("AB_cF8_225_a_b:Cl-Na", True),
        ("A_cF8_225_ab:Cu", False),  # the same element on both: again simple cubic
        ("A_aP1_1_a:Cu", False),  # any lattice has a centre of inversion
        ("A_aP1_2_a:Cu", True),
    ],
)
def test_known_ones(label: str, expected: bool) -> None:
    assert is_generic(Protostructure.parse(label)) is expected
