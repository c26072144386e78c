"""The demo's plot: load, change, load again, ask; each step checked before the next."""

import time
from decimal import Decimal
from pathlib import Path
from typing import Any

from demo.bank import TABLES, Bank, Changed, open_bank
from demo.evidence import (
    Evidence,
    check_change,
    check_load,
    check_models,
    check_rows,
    check_values,
    check_watermark,
)
from demo.files import drop_a_file
from demo.lake import Lake
from demo.models import FOLDER, Books
from demo.story import INDENT, Story
from flowforge.cli import progress
from flowforge.cli.api import Api
from flowforge.cli.document import read_document, redirected, workflow_of
from flowforge.cli.failure import Failure
from flowforge.cli.lake import use_stack
from flowforge.gold.graph import check_files, model_states
from flowforge.gold.model_files import write_models

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
RUN_SECONDS = 120.0
GOLD_QUESTION = "SELECT * FROM gold.segment_balances ORDER BY customer_segment"
SOURCE_QUESTION = (
    "SELECT c.customer_segment, COUNT(DISTINCT c.customer_id), COUNT(*), SUM(a.balance) FROM customers AS c"
    " JOIN accounts AS a ON a.customer_id = c.customer_id GROUP BY c.customer_segment ORDER BY c.customer_segment"
)

Told = dict[str, dict[str, Any]]


def play(stack: dict[str, Any], story: Story, evidence: Evidence) -> None:
    """Plays the demo on a running stack. Raises Failure when a step cannot be done at all."""
    use_stack(stack)
    lake = Lake(stack["bucket"])
    with open_bank(stack["sqlserver"]) as bank, Api(stack["api"], token=stack["token"]) as api:
        story.chapter("Put the bank's gold models into the bucket")
        _put_models(stack["bucket"], story)

        story.chapter("Load customers, accounts and transactions: one request, three tables")
        everything = {table.name: bank.count(table) for table in TABLES}
        first = _load("bank.json", stack, api, story)
        _check(evidence, first, everything, bank, lake, api)

        story.chapter("Change rows in the source")
        changed = bank.change()
        story.changes(changed)
        story.tell(f"The source's clock has passed the changes: {bank.wait_until_settled()}", "dim")

        story.chapter("Load what changed: the same tables, from their watermarks on")
        second = _load("bank-incremental.json", stack, api, story)
        _check(evidence, second, {name: len(done.keys) for name, done in changed.items()}, bank, lake, api)
        _check_changes(evidence, first, second, changed, bank, lake)
        story.models(model_states(stack["bucket"])[0])

        story.chapter("What happened")
        story.happened({"First load, in rows": first, "Incremental load, in rows": second})

        story.chapter("Ask the lake")
        _ask(evidence, bank, lake, story)

        story.chapter("Drop a CSV into the bucket: its job loads it by itself")
        drop_a_file(stack["bucket"], story, evidence, lake, api)


def _put_models(bucket: str, story: Story) -> None:
    texts = {f"models/{path.name}": path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.sql"))}
    problems = check_files(texts, bucket, ahead=True)
    if problems:
        raise Failure("the bank's models are not right", "\n".join(problems))
    write_models(texts, bucket)
    story.tell(f"flowforge models put --ahead {' '.join(f'examples/{key}' for key in texts)}", "cyan")


def _load(name: str, stack: dict[str, Any], api: Api, story: Story) -> Told:
    """Submits a request document, shows the run until it is over, and returns what it tells of each source table."""
    file = EXAMPLES / name
    content, document = read_document(str(file))
    workflow, body = workflow_of(document, name), content
    source = stack["sqlserver"]
    inline = document["source_config"]["connection"]
    if (inline["host"], inline["port"]) != (source["host"], source["port"]):
        # Port 1433 was taken; the document names it, so this copy names the stand-in's own.
        body = redirected(document, f"{source['host']}:{source['port']}", None)
    started = time.monotonic()
    run_id = api.post("workflows", workflow, "run", body=body)["run_id"]
    story.tell(f"POST /api/workflows/{workflow}/run  examples/{name}", "cyan")
    run = progress.watch(api, run_id, story.console, RUN_SECONDS, indent=INDENT)
    story.run(run)
    story.tell(f"{len(run['tables'])} tables from request to gold in {time.monotonic() - started:.1f} s", "dim")
    return {table.name: next((t for t in run["tables"] if t["table"] == table.bronze), {}) for table in TABLES}


def _check(evidence: Evidence, told: Told, rows: dict[str, int], bank: Bank, lake: Lake, api: Api) -> None:
    for table in TABLES:
        with evidence.about(table.name):
            check_load(evidence, table, told[table.name], rows[table.name], bank, lake)
            check_watermark(evidence, table, told[table.name], bank, api)
    with evidence.about("silver and gold"):
        check_rows(evidence, TABLES, bank, lake)
    with evidence.about("the bank's gold models"):
        check_models(evidence, Books(bank), lake, api)


def _check_changes(
    evidence: Evidence, first: Told, second: Told, changed: dict[str, Changed], bank: Bank, lake: Lake
) -> None:
    for table in TABLES:
        with evidence.about(table.name):
            check_change(evidence, table, first[table.name], second[table.name], changed[table.name], bank)
            check_values(evidence, table, changed[table.name], bank, lake)


def _ask(evidence: Evidence, bank: Bank, lake: Lake, story: Story) -> None:
    with evidence.about("gold.segment_balances"):
        answer = lake.answer(GOLD_QUESTION)
        story.answer(GOLD_QUESTION, answer)
        expected = [[row[0], row[1], row[2], Decimal(row[3])] for row in bank.rows(SOURCE_QUESTION)]
        evidence.expect(
            "gold.segment_balances against the source's own answer", expected, [list(r) for r in answer.rows]
        )
