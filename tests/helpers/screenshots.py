"""Makes the pictures of the console in docs/console, as `make screenshots` does: `python -m tests.helpers.screenshots [FOLDER]`.

They show the sample bank in a local stack of its own, in light and dark.
"""

import sys
import tempfile
from pathlib import Path

from events.export import ROOT
from tests.helpers.browser import chromium, go, let_in
from tests.helpers.stack import BRIEF, Stack

FOLDER = ROOT / "docs" / "console"
WINDOW = {"width": 1120, "height": 640}
TABLES = [{"tableName": "customers"}, {"tableName": "accounts"}, {"tableName": "transactions"}]
CHOSEN_TABLES = (
    '{"dbo.accounts":{"cursor":"account_id"},"dbo.customers":{"silver":"clients",'
    '"rules":[{"rule":"not_null","column":"customer_id","severity":"quarantine"}]}}'
)
CHOSEN = f"#/job?connection=bank&tables={CHOSEN_TABLES}&workflow=bank&job=load_bank"


def main(folder: Path = FOLDER) -> None:
    """Starts the stack, loads, fails, and writes one PNG a page."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as state:
        stack = Stack(Path(state) / ".flowforge", "--parameter", "MaxAttempts=2", BRIEF)
        try:
            addresses = _filled(stack)
            with chromium() as browser:
                for name, (address, scheme) in addresses.items():
                    with let_in(browser, stack, viewport=WINDOW, color_scheme=scheme) as page:
                        go(page, stack, address)
                        for text in page.get_by_text("asking …").all():
                            text.wait_for(state="hidden")
                        page.screenshot(path=folder / f"{name}.png")
        finally:
            stack.stop()


def _filled(stack: Stack) -> dict[str, tuple[str, str]]:
    """Loads the bank and fails once; {picture: (address, colours)}."""
    named = {"workflow_name": "BFSI Customer 360", "job_name": "Load the bank"}
    good = stack.run(stack.request({"tables": TABLES}) | named)
    bad = stack.run(stack.request({"tables": [{"tableName": "ratings"}, {"tableName": "accounts"}]}) | named)
    saved = stack.http.post("/api/connections", json={"id": "bank", **stack.connection})
    assert saved.status_code == 201, saved.text
    return {
        "tables": ("#/tables", "light"),
        "run": (f"#/runs/{good['run_id']}", "light"),
        "failed": (f"#/runs/{bad['run_id']}", "dark"),
        "job": (CHOSEN, "light"),
        "models": ("#/models", "dark"),
    }


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
