"""Damaged files are the same ones for the same seed, and differ from sound ones."""

from damaged_files import HEAVY, LIGHT, mutant, seeds

FORMATS = (*LIGHT, *HEAVY)


def test_files_depend_on_the_seed_and_the_number_alone():
    first, second = (mutant(0, k, FORMATS) for k in (1, 2))
    assert mutant(0, 1, FORMATS) == first != second
    assert mutant(1, 1, FORMATS) != first


def test_most_files_are_damaged_and_of_all_formats():
    made = [mutant(0, k, FORMATS) for k in range(300)]
    assert {layout for layout, _ in made} == set(FORMATS)
    assert sum(content not in seeds()[layout] for layout, content in made) > 250
