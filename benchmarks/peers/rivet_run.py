"""Rivet with its `fast` profile: writes the configuration, then becomes `rivet run`."""

import json
import os
import sys
import tempfile
from pathlib import Path


def configuration() -> dict:
    tls = {"mode": "disable"}
    if os.environ.get("BENCH_TLS"):
        tls = {"mode": "verify-full", "ca_file": os.environ["FLOWFORGE_SOURCE_CA_FILE"]}
    return {
        "source": {
            "type": "mssql",
            "host": os.environ["BENCH_HOST"],
            "port": int(os.environ["BENCH_PORT"]),
            "user": os.environ["BENCH_USER"],
            "password_env": "BENCH_PASSWORD",
            "database": os.environ["BENCH_DATABASE"],
            "tuning": {"profile": "fast"},
            "tls": tls,
        },
        "exports": [
            {
                "name": "bench",
                "query": f"SELECT * FROM dbo.{os.environ['BENCH_TABLE']}",
                "mode": "full",
                "format": "parquet",
                "compression": "snappy",
                "destination": {
                    "type": "s3",
                    "bucket": os.environ["BENCH_BUCKET"],
                    "prefix": os.environ["BENCH_PREFIX"] + "/",
                    "region": os.environ["AWS_REGION"],
                    "endpoint": os.environ["AWS_ENDPOINT_URL"],
                    "access_key_env": "AWS_ACCESS_KEY_ID",
                    "secret_key_env": "AWS_SECRET_ACCESS_KEY",
                },
            }
        ],
    }


def main() -> None:
    folder = Path(tempfile.mkdtemp(dir=os.environ["BENCH_FOLDER"]))
    file = folder / "rivet.yaml"
    file.write_text(json.dumps(configuration()))  # JSON is YAML
    os.chdir(folder)
    os.execv(Path(sys.executable).parent / "rivet", ["rivet", "run", "--config", str(file)])


if __name__ == "__main__":
    main()
