"""Silver tables over HTTP: what a caller may ask and decide, checked before anything is touched."""

import os
from typing import Any

from events.api.silver import Decision
from events.commands import ReleaseQuarantine
from flowforge.aws.clients import aws_errors, client
from flowforge.domain.batch import order_of
from flowforge.domain.errors import NotFound
from flowforge.domain.names import table_of
from flowforge.runtime.settings import settings
from flowforge.silver.decisions import decide, schema_of
from flowforge.silver.release import waiting
from flowforge.silver.report import quality_of_table
from flowforge.state import batch_records
from flowforge.state.table import read_state


def show_schema(name: str) -> dict[str, Any]:
    """A table's columns and the decisions about them; raises NotFound."""
    return schema_of(settings().bucket, table_of("silver", name))


def show_quality(name: str) -> dict[str, Any]:
    """What the rules found in a table's newest batch, and what is in quarantine; raises NotFound."""
    return quality_of_table(settings().bucket, table_of("silver", name))


def decide_by_hand(name: str, body: Decision) -> dict[str, Any]:
    """Records decisions about a table's columns. Raises NotFound, and Fatal for what silver cannot have."""
    table = table_of("silver", name)
    accepted = _newest(table) if body.accept else None
    return decide(settings().bucket, table, body.types, accepted, body.keep_key)


def order_release(name: str) -> dict[str, Any]:
    """Queues the order to judge what rules keep in a table's quarantine; answers how many rows that are. Raises NotFound."""
    bucket, table = settings().bucket, table_of("silver", name)
    source_key = schema_of(bucket, table)["source_key"]
    rows = sum(waiting(bucket, table).values())
    newest = next(iter(batch_records.history(source_key, 1)), None)
    if newest is None:
        remedy = "Restore the record from bronze: flowforge watermark rebuild --write."
        raise NotFound(f"no batch of {source_key} is recorded", remedy)
    run_id, bronze_table = newest.command.run_id, newest.command.bronze.table
    command = ReleaseQuarantine(silver_table=table, source_key=source_key, run_id=run_id, bronze_table=bronze_table)
    with aws_errors("SQS"):
        client("sqs").send_message(QueueUrl=os.environ["FLOWFORGE_QUEUE_URL"], MessageBody=command.model_dump_json())
    return {"table": table, "rows": rows}


def _newest(table: str) -> int:
    """Order of the newest batch that the table's source has claimed."""
    state = read_state(schema_of(settings().bucket, table)["source_key"])
    return order_of(state.generation, state.seq)
