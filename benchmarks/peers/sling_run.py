"""Sling: one stream into a Parquet object, by its own writer. Becomes the binary that its package carries."""

import json
import os
import sysconfig
from pathlib import Path
from urllib.parse import quote


def main() -> None:
    password = quote(os.environ["BENCH_PASSWORD"], safe="")
    where = f"{os.environ['BENCH_HOST']}:{os.environ['BENCH_PORT']}"
    tls = "encrypt=true&TrustServerCertificate=true" if os.environ.get("BENCH_TLS") else "encrypt=disable"
    os.environ["SOURCE"] = (
        f"sqlserver://{os.environ['BENCH_USER']}:{password}@{where}?database={os.environ['BENCH_DATABASE']}&{tls}"
    )
    target = {
        "type": "s3",
        "bucket": os.environ["BENCH_BUCKET"],
        "access_key_id": os.environ["AWS_ACCESS_KEY_ID"],
        "secret_access_key": os.environ["AWS_SECRET_ACCESS_KEY"],
        "endpoint": os.environ["AWS_ENDPOINT_URL"],
        "region": os.environ["AWS_REGION"],
    }
    os.environ["TARGET"] = json.dumps(target)
    os.environ["SLING_HOME_DIR"] = os.environ["BENCH_FOLDER"]
    os.environ["SLING_DISABLE_TELEMETRY"] = "TRUE"
    os.environ["SLING_DUCKDB_COMPUTE"] = "FALSE"  # its way through DuckDB would fetch a binary from elsewhere
    (binary,) = Path(sysconfig.get_path("purelib")).glob("sling_linux_*/bin/sling-linux-*")
    stream = ["--src-conn", "SOURCE", "--src-stream", f"dbo.{os.environ['BENCH_TABLE']}", "--tgt-conn", "TARGET"]
    target_object = f"s3://{os.environ['BENCH_BUCKET']}/{os.environ['BENCH_PREFIX']}/table.parquet"
    os.execv(binary, ["sling", "run", *stream, "--tgt-object", target_object])


if __name__ == "__main__":
    main()
