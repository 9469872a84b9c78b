"""The frame of the 3-D view; the page's script fills it."""

from __future__ import annotations


def viewer_section(n_structures: int, n_rows: int) -> str:
    """Thumbnails, canvas and controls; a note where no row holds a structure."""
    if not n_structures:
        return '<p class="note">No row holds a structure that can be drawn.</p>'
    left = f" The best {n_structures} of {n_rows} are in this page." if n_structures < n_rows else ""
    return (
        '<p class="note only-print-or-no-script">The 3-D view needs JavaScript.</p>'
        '<div class="viewer needs-script">'
        '<div class="thumbs" id="thumbs" role="group" aria-label="Best candidates"></div>'
        '<div class="stage"><canvas id="view" tabindex="0" role="img" aria-label="3-D view of the structure"></canvas>'
        '<div class="legend" id="elements"></div></div>'
        '<div class="side"><label>Candidate <select id="choose"></select></label>'
        '<div class="pair"><button type="button" id="previous">Previous</button>'
        '<button type="button" id="next">Next</button></div>'
        "<fieldset><legend>Structure</legend>"
        '<label class="check"><input type="radio" name="which" value="relaxed" checked> relaxed</label>'
        '<label class="check"><input type="radio" name="which" value="generated"> generated</label></fieldset>'
        "<fieldset><legend>Show</legend>"
        '<label class="check"><input type="checkbox" id="bonds" checked> bonds</label>'
        '<label class="check"><input type="checkbox" id="labels"> symbols</label>'
        '<label class="check"><input type="checkbox" id="large"> full radii</label>'
        '<label class="check"><input type="checkbox" id="super"> 2 × 2 × 2 cells</label></fieldset>'
        '<div class="pair"><button type="button" data-along="0">along a</button>'
        '<button type="button" data-along="1">along b</button><button type="button" data-along="2">along c</button>'
        '<button type="button" id="reset">Reset</button></div>'
        '<dl id="facts"></dl><button type="button" id="download">Download CIF</button></div></div>'
        f'<p class="note needs-script">Drag or use the arrow keys to turn, + and − to zoom.{left}</p>'
    )
