"""What `flowforge doctor` asks of a deployment beside its API and its lake: clocks, versions, the caller's rights, drift.

What is compared with is what template.yaml declares; tests/cli/test_cli_doctor.py holds the names here to it.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from flowforge.cli.finding import Finding
from flowforge.domain.version import HEADER, VERSION

if TYPE_CHECKING:
    from flowforge.cli.api import Api

WARNING_SECONDS = 30  # of a clock that is off: some times in silver and runs look odd
REFUSED_SECONDS = 300  # AWS takes no signature that is older
OPEN_BATCHES = "open-batches"
INDEXES = {  # of the watermark table, and what goes wrong where one is missing
    OPEN_BATCHES: "what got lost on the way is not followed up",
    "listed-files": "no list of files can be shown",
}
STATE_KEY = ["pk", "sk"]
DEPLOY = "Deploy template.yaml as it is: sam build && sam deploy, with the parameters of before."
BY_HAND = " A bucket that the stack has not made (LakeBucketExists) is set by hand: docs/operations.md."
RIGHTS = "Give these AWS credentials the right, or use others; functions have rights of their own."


def clock(api: "Api") -> list[Finding]:
    """How far this machine's clock is from that of the API, by the header Date of an answer."""
    api.get("runs", limit=1)  # a header of before is as old as what was asked since
    told = api.headers["runs"].get("date")
    if told is None:
        return [
            Finding("clock", "warning", f"{api.url} does not tell its time", "Compare this machine's clock with NTP.")
        ]
    ahead = (datetime.now(UTC) - parsedate_to_datetime(told)).total_seconds()
    seconds, side = round(abs(ahead)), "ahead of" if ahead > 0 else "behind"
    if seconds < WARNING_SECONDS:
        return [Finding("clock", "good", f"within {max(seconds, 1)} s of the API's")]
    state = "bad" if seconds >= REFUSED_SECONDS else "warning"
    remedy = "Set this machine's clock by NTP; AWS refuses what is signed with a time that is off by 5 minutes."
    return [Finding("clock", state, f"this machine is {seconds:,} s {side} the API", remedy)]


def versions(api: "Api") -> list[Finding]:
    """Whether the functions that have answered are of the command line's version."""
    told = {path: headers.get(HEADER) for path, headers in api.headers.items()}
    others = {path: version for path, version in told.items() if version != VERSION}
    if not others:
        return [Finding("versions", "good", f"{len(told)} functions and this command are of version {VERSION}")]
    named = ", ".join(f"/api/{path} {version or 'an older one that does not tell'}" for path, version in others.items())
    remedy = "Deploy this version, or install the deployment's; a version reads what the one before it has written."
    return [Finding("versions", "warning", f"this command is of version {VERSION}, and {named}", remedy)]


def rights(bucket: str, table: str | None) -> list[Finding]:
    """Whether the caller may read silver and the batches' records, which `sql`, `reconcile` and `rebuild` do."""
    from flowforge.aws.clients import client

    found = [_allowed(f"list silver/ of {bucket}", lambda: _first(bucket))]
    if table is None:
        remedy = "Name it in FLOWFORGE_WATERMARKS_TABLE: the stack's output WatermarksTable."
        return [*found, Finding("rights", "warning", "which watermark table, is not known", remedy)]
    key = {"pk": {"S": "STORE"}, "sk": {"S": "doctor"}}
    return [*found, _allowed(f"read table {table}", lambda: client("dynamodb").get_item(TableName=table, Key=key))]


def _first(bucket: str) -> None:
    from flowforge.aws.clients import client

    client("s3").list_objects_v2(Bucket=bucket, Prefix="silver/", MaxKeys=1)


def _allowed(what: str, call: Callable[[], Any]) -> Finding:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        call()
    except (ClientError, BotoCoreError) as error:
        return Finding("rights", "bad", f"cannot {what}: {error}", RIGHTS)
    return Finding("rights", "good", f"can {what}")


def drift(bucket: str, table: str | None, *, local: bool) -> list[Finding]:
    """Where bucket and watermark table are not as template.yaml declares them. A local stack protects and restores nothing."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        found = [*_of_bucket(bucket, local), *(_of_table(table, local) if table else [])]
    except (ClientError, BotoCoreError) as error:
        return [Finding("drift", "warning", f"cannot be told: {error}", RIGHTS)]
    return found or [Finding("drift", "good", "bucket and watermark table are as the template declares them")]


def _of_bucket(bucket: str, local: bool) -> list[Finding]:
    from flowforge.aws.clients import client

    s3, found = client("s3"), []
    if not local and "EventBridgeConfiguration" not in s3.get_bucket_notification_configuration(Bucket=bucket):
        found.append(f"{bucket} tells EventBridge nothing: files dropped in it start no run")
    if not local and not _all_blocked(s3, bucket):
        found.append(f"{bucket} does not block public access")
    return [Finding("drift", "bad", text, DEPLOY + BY_HAND) for text in found]


def _all_blocked(s3: Any, bucket: str) -> bool:
    from botocore.exceptions import ClientError

    from flowforge.aws.clients import error_code

    try:
        return all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
    except ClientError as error:
        if error_code(error) != "NoSuchPublicAccessBlockConfiguration":
            raise
        return False


def _of_table(table: str, local: bool) -> list[Finding]:
    from flowforge.aws.clients import client

    dynamodb = client("dynamodb")
    told, found = dynamodb.describe_table(TableName=table)["Table"], []
    if [one["AttributeName"] for one in told["KeySchema"]] != STATE_KEY:
        found.append(f"{table} has other keys than {' and '.join(STATE_KEY)}: it is not the watermark table")
    else:
        there = [index["IndexName"] for index in told.get("GlobalSecondaryIndexes", [])]
        found += [f"{table} has no index {name}: {what}" for name, what in INDEXES.items() if name not in there]
    if not local and not _restorable(dynamodb, table):
        found.append(f"{table} cannot be restored to a moment")
    return [Finding("drift", "bad", text, DEPLOY) for text in found]


def _restorable(dynamodb: Any, table: str) -> bool:
    told = dynamodb.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
    return told.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus") == "ENABLED"
