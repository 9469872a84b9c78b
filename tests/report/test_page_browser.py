"""The page in a real browser: no errors, nothing fetched, and the controls do what they say."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from nucleate.report.page import build_report

MISSING = [name for name in ("chromedriver", "chromium") if shutil.which(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"needs {' and '.join(MISSING)} on the path")

_FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage", "--hide-scrollbars",
)  # fmt: skip


class Browser:
    """One window of a fresh browser without profile."""

    def __init__(self, profile: Path, width: int = 1280, height: int = 900) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self._base = f"http://127.0.0.1:{port}"
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self._driver = subprocess.Popen(
            ["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        options = {
            "binary": shutil.which("chromium"),
            "args": [*_FLAGS, f"--window-size={width},{height}", f"--user-data-dir={profile}"],
        }
        capabilities = {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        self._await_driver()
        answer = self._call("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})
        self._session = f"/session/{answer['sessionId']}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._call("DELETE", self._session)
        finally:
            self._driver.terminate()
            self._driver.wait(10)

    def open(self, page: Path) -> None:
        """Load a page from the disk; what was logged before it is forgotten."""
        self.problems()
        self.requests()
        self._call("POST", f"{self._session}/url", {"url": page.resolve().as_uri()})

    def run(self, script: str, *arguments: Any) -> Any:
        """The value of the body of a JavaScript function."""
        return self._call("POST", f"{self._session}/execute/sync", {"script": script, "args": list(arguments)})

    def devtools(self, command: str, **parameters: Any) -> Any:
        """Send a DevTools command."""
        return self._call("POST", f"{self._session}/goog/cdp/execute", {"cmd": command, "params": parameters})

    def screenshot(self, path: Path) -> None:
        """What the window shows, as PNG."""
        path.write_bytes(base64.b64decode(self._call("GET", f"{self._session}/screenshot")))

    def problems(self) -> list[str]:
        """Errors and warnings of the console since the last call."""
        entries = self._call("POST", f"{self._session}/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] in ("SEVERE", "WARNING")]

    def requests(self) -> list[str]:
        """Addresses that were requested since the last call, without data, blob and browser addresses."""
        entries = self._call("POST", f"{self._session}/se/log", {"type": "performance"})
        events = [json.loads(entry["message"])["message"] for entry in entries]
        urls = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
        return [url for url in urls if not url.startswith(("data:", "blob:", "chrome"))]

    def _await_driver(self) -> None:
        for _ in range(100):
            try:
                if self._call("GET", "/status")["ready"]:
                    return
            except OSError:
                time.sleep(0.1)
        raise TimeoutError("chromedriver did not start")

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self._base + path, data, {"Content-Type": "application/json"}, method=method)
        with self._opener.open(request, timeout=60) as answer:
            return json.loads(answer.read())["value"]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


def shown_ids(browser: Browser) -> list[str]:
    script = "return [...document.querySelectorAll('#ranked tbody tr')].filter(r => !r.hidden).map(r => r.dataset.id)"
    return browser.run(script)


def click(browser: Browser, selector: str) -> None:
    browser.run("document.querySelector(arguments[0]).click()", selector)


def fill(browser: Browser, selector: str, value: str) -> None:
    script = (
        "const e = document.querySelector(arguments[0]); e.value = arguments[1]; "
        "e.dispatchEvent(new Event('input', {bubbles: true})); e.dispatchEvent(new Event('change', {bubbles: true}))"
    )
    browser.run(script, selector, value)


def pixels(browser: Browser) -> int:
    """Number of painted pixels of the 3-D view, once the next frame is drawn."""
    time.sleep(0.15)
    return browser.run(
        "const c = document.getElementById('view');"
        "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        "let n = 0; for (let i = 3; i < d.length; i += 4) n += d[i] > 0; return n"
    )


def picture(browser: Browser) -> str:
    time.sleep(0.15)
    return browser.run("return document.getElementById('view').toDataURL()")


def test_opens_without_errors_and_fetches_nothing(make_run, browser):
    page = build_report(make_run())
    browser.open(page)
    assert browser.problems() == []
    assert browser.requests() == [page.resolve().as_uri()]
    assert len(shown_ids(browser)) == 4
    assert pixels(browser) > 1000
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")


def test_sorting_keeps_unknown_values_last(make_run, browser):
    browser.open(build_report(make_run()))
    click(browser, "#ranked th:nth-child(5) button")
    assert shown_ids(browser) == ["c000000", "c000001", "c000020", "c000003"]
    click(browser, "#ranked th:nth-child(5) button")
    assert shown_ids(browser) == ["c000020", "c000001", "c000000", "c000003"]
    assert browser.run("return document.querySelector('#ranked th:nth-child(5)').ariaSort") == "descending"


def test_filters(make_run, rows, browser):
    browser.open(build_report(make_run([rows.rocksalt(0), rows.antifluorite(1, is_novel=False), rows.rocksalt(30)])))
    fill(browser, "#find", "li")
    assert shown_ids(browser) == ["c000001"]
    fill(browser, "#find", "")
    fill(browser, "#ehull", "0.1")
    assert shown_ids(browser) == ["c000000", "c000001"]
    click(browser, "[data-flag=novel]")
    assert shown_ids(browser) == ["c000000"]
    fill(browser, "#find", "nothing like this")
    assert browser.run("return document.getElementById('nomatch').hidden") is False


def test_hidden_columns_are_shown_and_saved(make_run, rows, browser):
    many = [rows.rocksalt(0, density=-0.01234), rows.rocksalt(1, density=12345.6), rows.rocksalt(2, density=None)]
    browser.open(build_report(make_run(many)))
    script = "return [...document.querySelectorAll('#ranked td.num.extra')].map(c => c.textContent)"
    assert browser.run(script) == ["−0.0123", "12,346", "—"]
    browser.run("window.saved = []; URL.createObjectURL = blob => { blob.text().then(t => saved.push(t)); return '#' }")
    click(browser, "#csv")
    time.sleep(0.2)
    (text,) = browser.run("return saved")
    lines = [line.split(",") for line in text.strip().splitlines()]
    assert lines[0][-1] == "Density g/cm³"
    assert [line[-1] for line in lines[1:]] == ["-0.01234", "12346", ""]
    assert lines[1][:3] == ["c000000", "1", "MgO"]


def test_view_turns_and_changes_structure(make_run, rows, browser):
    browser.open(build_report(make_run([rows.rocksalt(0), rows.antifluorite(1)])))
    first = picture(browser)
    browser.run(
        "const c = document.getElementById('view'); for (const [t, x] of [['down', 100], ['move', 180], ['up', 180]])"
        "c.dispatchEvent(new PointerEvent('pointer' + t, {pointerId: 1, clientX: x, clientY: 100, bubbles: true}))"
    )
    turned = picture(browser)
    assert turned != first
    click(browser, "#ranked tbody tr:nth-child(2) .view")
    assert picture(browser) != turned
    assert browser.run("return document.getElementById('elements').textContent") == "OLi"
    click(browser, "#previous")
    for control in ("#super", "#labels", "#large", "[data-along='0']", "[name=which][value=generated]"):
        before = picture(browser)
        click(browser, control)
        assert picture(browser) != before, control
    real_errors = [problem for problem in browser.problems() if "setPointerCapture" not in problem]
    assert real_errors == []


def test_shown_geometry(make_run, rows, browser):
    """The view completes the cell's boundary: 27 atoms and 54 bonds of one rocksalt cell, no bond between metals."""
    browser.open(build_report(make_run([rows.rocksalt(0)])))
    counts = browser.run(
        "const p = JSON.parse(document.getElementById('payload').textContent);"
        "const s = Viewer.build(p.structures[0], 'relaxed', p.elements, 1);"
        "return [s.atoms.length, s.bonds.length, s.edges.length]"
    )
    assert counts == [27, 54, 12]


def test_cif_without_a_file_reads_back_as_the_same_crystal(make_run, rows, browser):
    from pymatgen.core import Structure

    browser.open(build_report(make_run([rows.antifluorite(0)])))
    browser.run("window.saved = []; URL.createObjectURL = blob => { blob.text().then(t => saved.push(t)); return '#' }")
    click(browser, "#ranked .cif")
    time.sleep(0.2)
    (text,) = browser.run("return saved")
    crystal = Structure.from_str(text, fmt="cif")
    assert crystal.reduced_formula == "Li2O"
    assert crystal.volume == pytest.approx(2 * 2.31**3, rel=1e-4)


def test_hostile_text_stays_text(make_run, rows, browser):
    attack = "<script>window.hacked=1</script><img src=x onerror=window.hacked=1>"
    hostile = rows.rocksalt(0, id=attack, formula=attack, reason=attack, model=attack, status=attack)
    protocol = json.loads((make_run() / "run.json").read_text())["protocol"] | {"potential": attack, "matcher": attack}
    settings = {"model": attack, "where": []}
    folder = make_run([rows.rocksalt(1), hostile], settings=settings, citations=[attack], protocol=protocol)
    (folder / "cifs").mkdir()
    (folder / "cifs" / "c000001.cif").write_text("</script><script>window.hacked=1</script>")
    browser.open(build_report(folder))
    assert browser.run("return window.hacked") is None
    assert browser.problems() == []
    assert browser.run("return document.querySelectorAll('img').length") == 0


@pytest.mark.parametrize("kind", ["empty", "all failed", "bare"])
def test_poor_runs_open_without_errors(make_run, rows, browser, kind):
    content = {
        "empty": [],
        "all failed": [rows.failed(i, "exploded", "volume grew 5 times", numbers=None) for i in range(3)],
        "bare": [{"id": "a"}, {"id": "b"}],
    }[kind]
    browser.open(build_report(make_run(content, phases=None)))
    assert browser.problems() == []
    assert "Nothing" in browser.run("return document.querySelector('.empty').textContent")


def test_dark_and_narrow(make_run, browser):
    browser.open(build_report(make_run()))
    light = browser.run("return getComputedStyle(document.body).backgroundColor")
    click(browser, "#theme")
    assert browser.run("return getComputedStyle(document.body).backgroundColor") != light
    browser.devtools("Emulation.setDeviceMetricsOverride", width=390, height=800, deviceScaleFactor=2, mobile=True)
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
    assert pixels(browser) > 1000
    browser.devtools("Emulation.clearDeviceMetricsOverride")
