"""A real Chromium before the console: Debian's, or the one that CHROMIUM names, driven by Playwright from `.venv-console`.

Playwright brings a node of its own, some 200 MB, so it lives apart; its packages are put behind ours in this process. It never
gets a browser by itself. axe-core comes with a package, and goes into a page as a developer's tools do, past the page's policy.
"""

import json
import os
import shutil
import site
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flowforge.domain.given import given
from tests.helpers.stack import Stack
from tests.helpers.waiting import LIMIT_SECONDS

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = sorted((ROOT / ".venv-console" / "lib").glob("python3*/site-packages"))
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
KNOWN = "#known"


@contextmanager
def chromium() -> Iterator[Any]:
    """Playwright's browser for the block."""
    for folder in PACKAGES:
        site.addsitedir(str(folder))
    from playwright.sync_api import sync_playwright  # pyright: ignore[reportMissingImports] - .venv-console has it

    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    assert program, "no Chromium: name one in CHROMIUM, or install Debian's package chromium"
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=list(QUIET))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def let_in(browser: Any, stack: Stack, **options: Any) -> Iterator[Any]:
    """A page of a browser that has come by a link of one use; what its scripts complain of fails the block's end."""
    with browser.new_context(**options) as context:
        context.set_default_timeout(LIMIT_SECONDS * 1000)
        page = context.new_page()
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        code = stack.http.post("/_local/console").json()["code"]
        page.goto(f"{stack.facts['api']}/#code={code}")
        page.get_by_text("known at").wait_for()
        yield page
        assert complaints == []


def go(page: Any, stack: Stack, address: str) -> None:
    """Goes to an address of the console and waits until it is known."""
    page.goto("about:blank")
    page.goto(f"{stack.facts['api']}/{address}")
    page.get_by_text("known at").wait_for()


def violations(page: Any) -> list[str]:
    """What axe finds wrong with the page as it is: rule and element."""
    import axe_playwright_python  # pyright: ignore[reportMissingImports] - .venv-console has it

    tools = page.context.new_cdp_session(page)
    source = (Path(given(axe_playwright_python.__file__)).parent / "axe.min.js").read_text()
    tools.send("Runtime.evaluate", {"expression": source})
    told = "axe.run().then(found => JSON.stringify(found.violations.flatMap(one => one.nodes.map(n => one.id + ' ' + n.html))))"
    answer = tools.send("Runtime.evaluate", {"expression": told, "awaitPromise": True})
    tools.detach()
    return json.loads(answer["result"]["value"])
