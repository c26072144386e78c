"""A function's process, without pyarrow: refines and publishes the batch of argv[2] in bucket argv[1] when told to on stdin."""

import sys

sys.modules["pyarrow"] = None  # pyright: ignore[reportArgumentType] - importing it raises from here on

import json  # noqa: E402
from dataclasses import asdict  # noqa: E402

from flowforge.domain.batch import Batch  # noqa: E402
from flowforge.domain.errors import FlowForgeError  # noqa: E402
from flowforge.gold.publish import publish  # noqa: E402
from flowforge.operations.query import query  # noqa: E402
from flowforge.silver.refine import refine  # noqa: E402


def main() -> None:
    bucket, batch = sys.argv[1], Batch.model_validate_json(sys.argv[2])
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        refined = asdict(refine(batch, bucket))
        gold = asdict(publish(batch, bucket))
        counted = query(f"SELECT count(*) FROM gold.{batch.command.gold.table}", bucket).rows[0][0]
        print(json.dumps({"refined": refined, "gold": gold, "counted": counted}, default=str), flush=True)
    except FlowForgeError as error:
        print(json.dumps({"error": type(error).__name__, "message": str(error)}), flush=True)


if __name__ == "__main__":
    main()
