"""The upkeep step: the schedule fans out to one message per table; a table that fails is tried again alone."""

import os
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from events.commands import MaintainTable
from flowforge.aws.fanout import send_commands
from flowforge.aws.message import logger, metrics
from flowforge.domain.alone import each_alone
from flowforge.domain.names import TableName
from flowforge.runtime.settings import settings

QUEUED_AT_ONCE = 500  # tables whose upkeep is queued, or not, together
LEAST_FILES = 8  # small files that are worth a rewrite on a schedule


def queue_all() -> dict[str, Any]:
    """Sends one MaintainTable for every table of silver, gold and quarantine; returns how many."""
    from flowforge.operations.upkeep import maintained_tables

    names = maintained_tables(settings().bucket)
    done, failed = each_alone([names[n : n + QUEUED_AT_ONCE] for n in range(0, len(names), QUEUED_AT_ONCE)], _queue)
    for failure in failed:
        tables = f"{failure.thing[0]} to {failure.thing[-1]}"
        logger.error("upkeep not queued", tables=tables, cause=str(failure.error), exc_info=failure.error)
    left = sum(len(failure.thing) for failure in failed)
    if left:
        metrics.add_metric(name="UpkeepFailures", unit=MetricUnit.Count, value=left)
        metrics.flush_metrics()
    if failed and not done:
        raise failed[0].error
    return {"queued": len(names) - left, "failed": left}


def _queue(names: list[TableName]) -> None:
    commands = [MaintainTable.model_validate({"layer": name.layer, "table": name.table}) for name in names]
    send_commands(os.environ["FLOWFORGE_QUEUE_URL"], commands)


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
