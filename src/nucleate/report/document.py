"""An HTML document that needs nothing but itself: style and script inside, and a policy that lets nothing else in."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files

from nucleate.report.markup import text


def document(title: str, links: Sequence[tuple[str, str]], body: str, script: str = "") -> str:
    """A whole page.

    Arguments:
        title: Plain text.
        links: Anchor and name of each section, for the bar at the top.
        body: Markup under that bar.
        script: The one script that may run; without it there is no button for the theme.
    """
    button = '<button type="button" id="theme" class="needs-script" title="Light or dark">Light / dark</button>'
    bar = "".join(f'<a href="#{anchor}">{text(name)}</a>' for anchor, name in links) + (button if script else "")
    return (
        "<!DOCTYPE html>\n"
        '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(script)}">'
        f'<meta name="color-scheme" content="light dark"><title>{text(title)}</title>'
        f"<style>{asset('page.css')}</style></head><body>"
        f'<nav><span class="brand">Nucleate</span>{bar}</nav>{body}'
        + (f"<script>{script}</script>" if script else "")
        + "</body></html>\n"
    )


def asset(name: str) -> str:
    """A file of the page's own."""
    return (files("nucleate.report") / "assets" / name).read_text(encoding="utf-8")


def _policy(script: str) -> str:
    """Content security policy: our one script by its hash, nothing from elsewhere."""
    ours = "'none'"
    if script:
        ours = f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
    return f"default-src 'none'; style-src 'unsafe-inline'; script-src {ours}; img-src data:"
