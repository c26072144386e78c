"""`python -m benchmarks.lake.objects copy FROM TO` or `… clear PREFIX`: gives a case a fresh table, and takes it away."""

import os
import sys

import boto3


def main() -> None:
    """Copies or deletes all objects below a prefix."""
    action, prefix, *other = sys.argv[1:]
    s3, bucket = boto3.client("s3"), os.environ["BENCH_BUCKET"]
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
    for key in [found["Key"] for page in pages for found in page.get("Contents", ())]:
        if action == "clear":
            s3.delete_object(Bucket=bucket, Key=key)
        else:
            target = f"{other[0]}/{key.removeprefix(f'{prefix}/')}"
            s3.copy_object(Bucket=bucket, Key=target, CopySource={"Bucket": bucket, "Key": key})


if __name__ == "__main__":
    main()
