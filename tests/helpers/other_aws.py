"""`make test-aws`: the expanded template in an AWS that someone else wrote (ministack), and the sample bank through it to gold.

Its CloudFormation makes queues, tables, bus, rules, API and functions of template.yaml; its Lambda runs the handlers. Shows that
neither needs what only the local stack does. What ministack does not do as AWS is stepped around here and nowhere else:

    numbers that a Ref gives     it passes a parameter's text on, and compares it with numbers: they are put in before
    a number in an environment   it wants text, which CloudFormation makes of it
    libraries                    functions take those of this environment, by PYTHONPATH: its Lambda unpacks the code only

Exit code 0 where the three tables are in gold with the source's number of rows.
"""

import copy
import io
import json
import os
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import BotoCoreError, ClientError

from events.sample_messages import FULL
from flowforge.operations.query import query
from infra.local.ports import listen
from infra.local.processes import start_mortal
from infra.local.template import ACCOUNT, REGION, expand
from tests.helpers.servers import ROOT, start_standin, stop
from tests.helpers.waiting import wait_for

BUCKET, STACK, CODE = "flowforge-data", "flowforge", "code"
BANK = {"customers": 500, "accounts": 750, "transactions": 5_000}
LOAD_SECONDS, PAUSE_SECONDS = 900, 1.0
KEYS = {"AWS_ACCESS_KEY_ID": ACCOUNT, "AWS_SECRET_ACCESS_KEY": "test"}  # a key of 12 digits is its account


def main(program: str) -> int:
    """Deploys, loads the bank and counts; says what it waits for."""
    with tempfile.TemporaryDirectory() as folder, other_aws(program, Path(folder) / "log") as url:
        os.environ |= KEYS | {"AWS_DEFAULT_REGION": REGION, "AWS_REGION": REGION, "AWS_ENDPOINT_URL": url}
        standin, ready = start_standin(Path(folder), "--bank")
        try:
            deploy(url, ready["ca_file"])
            request(ready)
            wait_for(lambda: set(loaded()) >= set(BANK), "three tables in gold", LOAD_SECONDS, pause=PAUSE_SECONDS)
        except pytest.fail.Exception:
            sys.stderr.write((Path(folder) / "log").read_text()[-4_000:])
            raise
        finally:
            stop(standin)
        found = {table: query(f"SELECT COUNT(*) FROM gold.{table}", BUCKET).rows[0][0] for table in BANK}
    print(f"gold has {found}")
    return int(found != BANK)


@contextmanager
def other_aws(program: str, log: Path) -> Iterator[str]:
    """Runs ministack on a free loopback port for the block; yields its address, which takes KEYS."""
    with listen(0) as probe:
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    where = {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "LAMBDA_EXECUTOR": "local",
    }
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    with (
        log.open("w") as output,
        start_mortal([str(program)], env=kept | KEYS | where, stdout=output, stderr=output) as server,
    ):
        try:
            wait_for(lambda: answers(url), "ministack to answer")
            yield url
        finally:
            server.terminate()


def answers(url: str) -> bool:
    keys = {name.lower(): value for name, value in KEYS.items()}
    try:
        return bool(boto3.client("s3", endpoint_url=url, region_name=REGION, **keys).list_buckets())
    except (ClientError, BotoCoreError):
        return False


def deploy(url: str, ca_file: str) -> None:
    """Creates the stack from the expanded template, by CloudFormation."""
    s3, stacks = boto3.client("s3"), boto3.client("cloudformation")
    s3.create_bucket(Bucket=CODE)
    s3.put_object(Bucket=CODE, Key="code.zip", Body=code())
    s3.put_object(Bucket=CODE, Key="template.json", Body=json.dumps(template(ca_file), default=str))
    stacks.create_stack(StackName=STACK, TemplateURL=f"{url}/{CODE}/template.json", Capabilities=["CAPABILITY_IAM"])

    def status() -> str:
        return stacks.describe_stacks(StackName=STACK)["Stacks"][0]["StackStatus"]

    wait_for(lambda: not status().endswith("IN_PROGRESS"), "the stack", pause=PAUSE_SECONDS)
    failed = [
        f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}"
        for event in stacks.describe_stack_events(StackName=STACK)["StackEvents"]
        if "FAILED" in event["ResourceStatus"]
    ]
    assert status() == "CREATE_COMPLETE", failed


def code() -> bytes:
    """One zip for all functions: the code that they share and their own."""
    with io.BytesIO() as content:
        with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
            for folder in ("events", "flowforge", "functions"):
                for path in sorted((ROOT / folder).rglob("*.py")):
                    archive.write(path, path.relative_to(ROOT))
            archive.write(ROOT / "docs" / "schemas" / "openapi.json", "docs/schemas/openapi.json")
        return content.getvalue()


def template(ca_file: str) -> dict[str, Any]:
    """The template as CloudFormation takes it, with what ministack needs otherwise."""
    expanded = expand(ROOT / "template.yaml", {"LakeBucketName": BUCKET})
    numbers = {name: value for name, value in expanded.parameters.items() if isinstance(value, int)}
    resources = with_numbers(copy.deepcopy(expanded.resources), numbers)
    own = {
        "PYTHONPATH": sysconfig.get_paths()["purelib"],
        "AWS_ALLOW_HTTP": "true",
        "FLOWFORGE_SOURCE_CA_FILE": ca_file,
    }
    for resource in resources.values():
        if resource["Type"] == "AWS::Lambda::Function":
            properties = resource["Properties"]
            properties["Code"] = {"S3Bucket": CODE, "S3Key": "code.zip"}
            told = properties["Environment"]["Variables"]
            text = {name: str(value) for name, value in told.items() if isinstance(value, int | float)}
            properties["Environment"] = {"Variables": told | text | own}
    parameters = {
        name: {
            "Type": "CommaDelimitedList" if isinstance(value, list) else "String",
            "Default": ",".join(value) if isinstance(value, list) else str(value),
        }
        for name, value in expanded.parameters.items()
    }
    return {"Parameters": parameters, "Conditions": expanded.conditions, "Resources": resources}


def with_numbers(node: Any, numbers: dict[str, int]) -> Any:
    if isinstance(node, list):
        return [with_numbers(one, numbers) for one in node]
    if not isinstance(node, dict):
        return node
    if node.keys() == {"Ref"} and node["Ref"] in numbers:
        return numbers[node["Ref"]]
    return {name: with_numbers(value, numbers) for name, value in node.items()}


def request(ready: dict[str, Any]) -> None:
    """Drops a request file for the three tables of the bank, as a user does."""
    document = copy.deepcopy(FULL)
    login = {"username": "sa", "password": "FlowForge2024!"}  # the documented one of the sample bank
    connection = {"host": "localhost", "port": ready["port"], "database": ready["database"], **login}
    tables = {"tables": [{"tableName": table} for table in BANK]}
    document["source_config"] |= {"connection": connection, "databaseConfig": tables}
    document["destination_config"] = {}
    boto3.client("s3").put_object(Bucket=BUCKET, Key="requests/bank.json", Body=json.dumps(document).encode())


def loaded() -> list[str]:
    """The tables that gold has."""
    keys = boto3.client("s3").get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="gold/")
    found = [one["Key"].split("/") for page in keys for one in page.get("Contents", [])]
    return sorted({parts[1] for parts in found if "_delta_log" in parts})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
