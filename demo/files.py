"""A file dropped into the bucket starts the job that takes it: what arrives is what is written in it."""

import time
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from demo.evidence import Evidence
from demo.lake import Lake
from demo.story import INDENT, Story
from flowforge.aws.clients import client
from flowforge.cli import progress
from flowforge.cli.api import Api
from flowforge.cli.document import read_document
from flowforge.cli.failure import Failure

FOLDER = Path(__file__).resolve().parents[1] / "examples" / "files"
REQUEST, FILE = "request-customers.json", "customers.csv"
KEY, TABLE = f"landing/crm/customers/{FILE}", "crm_customers"
RUN_SECONDS = 120.0
FOUND = ("landing", "sweep")  # by its notice, or, where a run of the job was about to begin, by the look after that run
ROWS = [
    (1, "Müller; Söhne", "01067", Decimal("1250.20"), date(2024, 5, 1)),
    (2, "Ünal", "80331", Decimal("-3.50"), date(2024, 5, 31)),
    (3, 'Weiß "Bau"', "10115", Decimal("0.00"), None),
]  # as a person reads them in the file


def drop_a_file(bucket: str, story: Story, evidence: Evidence, lake: Lake, api: Api) -> None:
    """Submits the job once, drops a CSV, follows the run that it starts, and checks each value."""
    content, _ = read_document(str(FOLDER / REQUEST))
    asked = api.post("workflows", "crm", "run", body=content)["run_id"]
    story.tell(f"POST /api/workflows/crm/run  examples/files/{REQUEST}", "cyan")
    first = progress.watch(api, asked, story.console, RUN_SECONDS, indent=INDENT)
    client("s3").upload_file(str(FOLDER / FILE), bucket, KEY)
    story.tell(f"flowforge files put examples/files/{FILE} crm/customers", "cyan")
    run = progress.watch(api, _started(api), story.console, RUN_SECONDS, indent=INDENT)
    story.run(run)
    with evidence.about(f"the file {FILE}"):
        _check(evidence, first, run, lake, api)


def _started(api: Api) -> str:
    """The run that the file has started, once there is one."""
    deadline = time.monotonic() + RUN_SECONDS
    while time.monotonic() < deadline:
        found = [run for run in api.get("runs", workflow_id="crm")["runs"] if run["trigger"] in FOUND]
        if found:
            return found[0]["run_id"]
        time.sleep(0.2)
    raise Failure(f"no run was started by {KEY} within {RUN_SECONDS:.0f} seconds", "The log of submit_job says why.")


def _check(evidence: Evidence, first: dict[str, Any], run: dict[str, Any], lake: Lake, api: Api) -> None:
    evidence.expect("before the file: tables without rows", ["empty"], [table["status"] for table in first["tables"]])
    evidence.expect("the file's run", ["published"], [table["status"] for table in run["tables"]])
    columns = "id, name, plz, saldo, seit"
    for layer in ("silver", "gold"):
        found = lake.rows(f"SELECT {columns} FROM {layer}.{TABLE} ORDER BY id")  # noqa: S608
        evidence.expect(f"{layer}.{TABLE}: rows", ROWS, [tuple(row) for row in found])
    reports = api.get("files", key=KEY)["files"]
    told = [(one["state"], one["records"], one["rows"], one["rejected"], one["run_id"]) for one in reports]
    evidence.expect("its report", [("loaded", len(ROWS), len(ROWS), 0, run["run_id"])], told)
    landed = lake.bronze(run["tables"][0]["bronze_key"])
    evidence.expect("rows in its bronze object", len(ROWS), landed.rows)
    evidence.expect(
        "its audit columns", {"_file_version", "_row_number"}, {"_file_version", "_row_number"} & set(landed.columns)
    )
