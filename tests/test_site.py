"""The site builds strictly, holds together, and asks nothing of the network."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


class _Page(HTMLParser):
    """What a page links to, what it loads by itself, and the places in it that can be linked to."""

    def __init__(self, path):
        super().__init__()
        self.links, self.loads, self.anchors = [], [], set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.anchors |= {values[key] for key in ("id", "name") if values.get(key)}
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])
        if tag in ("script", "img", "iframe", "source") and values.get("src"):
            self.loads.append(values["src"])
        if tag == "link" and values.get("rel") not in ("canonical", "prev", "next") and values.get("href"):
            self.loads.append(values["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("material", reason="needs the docs extra: pip install -e '.[docs]'")
    pytest.importorskip("mkdocstrings", reason="needs the docs extra: pip install -e '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder],
        cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stdout + built.stderr
    return {path.relative_to(folder).as_posix(): _Page(path) for path in folder.rglob("*.html")}, folder


def test_links_inside_the_site_lead_somewhere(site):
    pages, folder = site
    wrong = []
    for name, page in pages.items():
        if name == "404.html":  # served from anywhere, so its links are absolute
            continue
        for link in (*page.links, *page.loads):
            parts = urlsplit(link)
            if parts.scheme:
                continue
            target = (folder / name).parent / unquote(parts.path) if parts.path else folder / name
            target = target / "index.html" if target.is_dir() else target
            other = pages.get(target.resolve().relative_to(folder.resolve()).as_posix())
            if not target.exists() or (parts.fragment and other and unquote(parts.fragment) not in other.anchors):
                wrong.append(f"{name}: {link}")
    assert not wrong


def test_nothing_is_loaded_from_elsewhere(site):
    pages, folder = site
    remote = [f"{name}: {url}" for name, page in pages.items() for url in page.loads if urlsplit(url).netloc]
    assert not remote
    for sheet in folder.rglob("*.css"):
        assert not re.findall(r"(?:url\(\s*['\"]?|@import\s+['\"])(?:https?:)?//", sheet.read_text(encoding="utf-8"))


def test_every_family_and_shipped_model_has_a_page():
    families = sorted(path.parent.name for path in (ROOT / "src/nucleate/families").glob("*/README.md"))
    models = sorted(path.parent.name for path in (ROOT / "src/nucleate/weights").glob("*/card.md"))
    predictors = sorted((ROOT / "src/nucleate/predictors").glob("*/README.md"))
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    texts = {
        path: path.read_text(encoding="utf-8")
        for folder in ("families", "models")
        for path in (DOCS / folder).glob("*.md")
    }
    sources = [
        *(f"src/nucleate/families/{name}/README.md" for name in families),
        *(path.relative_to(ROOT).as_posix() for path in predictors),
        *(f"src/nucleate/weights/{name}/card.md" for name in models),
    ]
    for source in sources:
        line = f'--8<-- "{source}"'
        pages = [path for path, text in texts.items() if text.strip() == line]
        assert pages, f"no page of docs/families or docs/models consists of: {line}"
        assert pages[0].relative_to(DOCS).as_posix() in navigation, f"{pages[0]} is not in the nav of mkdocs.yml"
