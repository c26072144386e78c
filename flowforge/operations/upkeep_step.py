"""The upkeep step: the schedule fans out to one message per table; a table that fails is tried again alone."""

import os
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from events.commands import MaintainTable
from flowforge.aws.clients import aws_errors, client
from flowforge.aws.message import logger, metrics
from flowforge.domain.alone import each_alone
from flowforge.domain.names import TableName
from flowforge.runtime.settings import settings

LEAST_FILES = 8  # small files that are worth a rewrite on a schedule


def queue_all() -> dict[str, Any]:
    """Sends one MaintainTable for every table of silver, gold and quarantine; returns how many."""
    from flowforge.operations.upkeep import maintained_tables

    done, failed = each_alone(maintained_tables(settings().bucket), _queue)
    for failure in failed:
        logger.error("upkeep not queued", table=str(failure.thing), cause=str(failure.error), exc_info=failure.error)
    if failed:
        metrics.add_metric(name="UpkeepFailures", unit=MetricUnit.Count, value=len(failed))
        metrics.flush_metrics()
    if failed and not done:
        raise failed[0].error
    return {"queued": len(done), "failed": len(failed)}


def _queue(name: TableName) -> None:
    command = MaintainTable.model_validate({"layer": name.layer, "table": name.table})
    with aws_errors("SQS"):
        client("sqs").send_message(QueueUrl=os.environ["FLOWFORGE_QUEUE_URL"], MessageBody=command.model_dump_json())


def maintain_one(command: MaintainTable) -> None:
    """Does one table's upkeep and logs its files before and after; a table that is gone needs none."""
    from dataclasses import asdict

    from flowforge.domain.errors import NotFound
    from flowforge.operations.upkeep import maintain

    name = TableName(command.layer, command.table)
    try:
        done = maintain(name, settings().bucket, settings().vacuum_retention_hours, LEAST_FILES)
    except NotFound:
        logger.info("no such table any more", table=str(name))
        return
    logger.info("maintained", **asdict(done))
