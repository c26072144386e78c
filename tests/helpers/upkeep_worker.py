"""A process that compacts and vacuums silver table argv[2] of bucket argv[1] until it is told to stop."""

import json
import select
import sys

from flowforge.domain.names import TableName
from flowforge.operations.upkeep import maintain


def main() -> None:
    bucket, table = sys.argv[1:3]
    compacted = 0
    print("ready", flush=True)
    while True:
        compacted += maintain(TableName("silver", table), bucket, 168).compacted
        if select.select([sys.stdin], [], [], 0)[0]:
            break
    print(json.dumps({"compacted": compacted}), flush=True)


if __name__ == "__main__":
    main()
