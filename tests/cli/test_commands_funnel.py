"""``--funnel`` and ``--threshold``: a mistake is one line and exit code 2, before anything is computed."""

import pytest

from nucleate.cli.main import run

CIF = """data_cu
_cell_length_a 3.6
_cell_length_b 3.6
_cell_length_c 3.6
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Cu1 Cu 0 0 0
Cu2 Cu 0.5 0.5 0
"""


@pytest.fixture
def structure(tmp_path):
    path = tmp_path / "cu.cif"
    path.write_text(CIF)
    return str(path)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--funnel", "pidgin"], "'pidgin'"),
        (["--funnel", "pigen", "--threshold", "m_led"], "NAME=VALUE"),
        (["--funnel", "pigen", "--threshold", "mled=8"], "m_led"),
        (["--funnel", "pigen", "--threshold", "compactness=0.9..0.5"], "compactness"),
        (["--threshold", "m_led=8"], "--funnel"),
    ],
)
@pytest.mark.parametrize("verb", ["screen", "evaluate"])
def test_a_mistake_is_one_line(verb, options, said, structure, tmp_path, capsys):
    out = ["-o", str(tmp_path / "run")] if verb == "screen" else []
    with pytest.raises(SystemExit) as stopped:
        run([verb, structure, *out, *options])
    assert stopped.value.code == 2
    printed = capsys.readouterr().err.strip().splitlines()[-1]
    assert printed.startswith("nucleate: ")
    assert said in printed
    assert not (tmp_path / "run" / "candidates").exists()


@pytest.mark.parametrize("verb", ["screen", "design", "evaluate"])
def test_help_names_the_options(verb, capsys):
    with pytest.raises(SystemExit) as stopped:
        run([verb, "--help"])
    assert not stopped.value.code
    shown = capsys.readouterr().out
    assert "--funnel" in shown
    assert "--threshold" in shown
