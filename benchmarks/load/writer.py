"""The process that changes tables and puts files while they are loaded: `python -m benchmarks.load.writer`, its orders on stdin.

For each change it says on a line of JSON which table it was, its number there and when it was begun, so that a latency that is
counted from there is never too short. It ends with a line that is null.
"""

import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import boto3

from benchmarks.load.tables import SEED, Table, put_file
from tests.helpers.standin import connect

ROWS_OF_A_CHANGE = 20


class Change(NamedTuple):
    """The n-th change of a table, begun at `at` (seconds since 1970)."""

    table: str
    n: int
    at: float


@dataclass(frozen=True)
class Orders:
    """What to change, where, for how long; `source` is the stand-in's ready line, `queue` takes notices of files."""

    source: Mapping[str, Any]
    tables: Sequence[Table]
    bucket: str
    queue: str
    seconds: float
    changes_a_second: float
    seed: int

    def text(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, text: str) -> "Orders":
        told = json.loads(text)
        return cls(**told | {"tables": [Table(*table) for table in told["tables"]]})


def changes(orders: Orders) -> Iterator[Change]:
    """Makes the changes, at their pace; one that comes late is not made up for."""
    chance, numbers = random.Random(orders.seed), Counter[str]()  # noqa: S311 - a run can be repeated
    s3, sqs = boto3.client("s3"), boto3.client("sqs")
    end = time.monotonic() + orders.seconds
    with closing(connect(dict(orders.source))) as connection, connection.cursor() as cursor:
        while (left := end - time.monotonic()) > 0:
            table = chance.choice(orders.tables)
            numbers[table.name] += 1
            change = Change(table.name, numbers[table.name], time.time())
            if table.files:
                notice = put_file(s3, orders.bucket, table.name, change.n)
                sqs.send_message(QueueUrl=orders.queue, MessageBody=json.dumps(notice))
            else:
                cursor.execute(statement(table, change.n, chance))
            yield change
            time.sleep(min(left, chance.expovariate(orders.changes_a_second)))


def statement(table: Table, n: int, chance: random.Random) -> str:
    """The SQL of a change: rows that are there, or new ones, which no other change of the table makes."""
    if chance.random() < 0.5:
        low = chance.randint(1, table.rows)
        return (
            f"UPDATE {table.name} SET n = {n}, amount = amount + 1, modified = SYSUTCDATETIME()"
            f" WHERE id BETWEEN {low} AND {low + ROWS_OF_A_CHANGE - 1}"
        )
    first = table.rows + n * ROWS_OF_A_CHANGE
    return (
        f"INSERT INTO {table.name} (id, n, amount, note) SELECT id + {first}, {n}, amount, note FROM {SEED}"
        f" WHERE id <= {ROWS_OF_A_CHANGE}"
    )


def main() -> None:
    for change in changes(Orders.of(sys.stdin.read())):
        print(json.dumps(change), flush=True)
    print("null", flush=True)


if __name__ == "__main__":
    main()
