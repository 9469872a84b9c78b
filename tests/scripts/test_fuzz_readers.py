"""No reader crashes on damaged files, hangs or misreads them; undamaged ones are read as others read them."""

from pathlib import Path

import fuzz_readers as fuzz
import pytest
from damaged_files import HEAVY, LIGHT, seeds

FORMATS = (*LIGHT, *HEAVY)


@pytest.mark.parametrize("layout", FORMATS)
def test_undamaged_files_are_read_as_others_read_them(layout, tmp_path):
    for content in seeds()[layout][: 1 if layout in HEAVY else None]:
        path = fuzz.stored_as(Path(tmp_path), layout, content)
        (structure,) = fuzz.to_pymatgen(fuzz.read_structures(path).crystals)
        if layout in fuzz.REFERENCES:
            assert fuzz.alike(fuzz.majority(layout, path, content), structure)


@pytest.mark.parametrize("k", range(120))
def test_damaged_text_is_read_right_or_refused(k):
    reading = fuzz.read_one(7, k, LIGHT)
    assert reading.outcome in {"read", "refused"}, reading


@pytest.mark.parametrize("k", range(6))
def test_damaged_files_of_libraries_are_refused(k):
    reading = fuzz.read_one(7, k, HEAVY)
    assert reading.outcome in {"read", "refused"}, reading
