"""The upkeep step: the schedule fans out to one message per table; a table that fails is tried again alone."""

import os
from typing import Any

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from events.commands import MaintainTable
from flowforge.cloud.clients import client, unavailable
from flowforge.lake.names import TableName
from flowforge.settings import settings

logger = Logger(service="flowforge")
LEAST_FILES = 8  # small files that are worth a rewrite on a schedule


def queue_all() -> dict[str, Any]:
    """Sends one MaintainTable for every table of silver, gold and quarantine; returns how many."""
    from flowforge.lake.upkeep import maintained_tables

    names = maintained_tables(settings().bucket)
    try:
        for name in names:
            command = MaintainTable(layer=name.layer, table=name.table)  # type: ignore[arg-type]
            client("sqs").send_message(
                QueueUrl=os.environ["FLOWFORGE_QUEUE_URL"], MessageBody=command.model_dump_json()
            )
    except (ClientError, BotoCoreError) as error:
        raise unavailable("SQS", error) from error
    return {"queued": len(names)}


def maintain_one(command: MaintainTable) -> None:
    """Does one table's upkeep and logs its files before and after; a table that is gone needs none."""
    from dataclasses import asdict

    from flowforge.errors import NotFound
    from flowforge.lake.upkeep import maintain

    name = TableName(command.layer, command.table)
    try:
        done = maintain(name, settings().bucket, settings().vacuum_retention_hours, LEAST_FILES)
    except NotFound:
        logger.info("no such table any more", table=str(name))
        return
    logger.info("maintained", **asdict(done))
