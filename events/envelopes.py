"""The envelopes in which a function gets its events: SQS, EventBridge, S3's and MinIO's notices, the HTTP API.

Pure functions from a body to what the runtime delivers, with the fields that FlowForge or its libraries read. Sources: the event
samples of the AWS Lambda developer guide (SQS; HTTP API payload 2.0), of the EventBridge user guide (S3 Object Created), and of
MinIO's bucket notification guide (webhook target).
"""

import hashlib
import json
from typing import Any
from urllib.parse import quote_plus, unquote

ACCOUNT, REGION = "123456789012", "us-east-1"
MOMENT = "2025-11-08T06:12:08Z"
_ID = "0b5c4c1e-9f3e-4f6a-8f0e-3d2d7f6f0a11"


def sqs(*bodies: Any, queue: str = "flowforge-IngestQueue", attempt: int = 1) -> dict[str, Any]:
    """An SQS event with one record per body."""
    records = []
    for number, body in enumerate(bodies):
        text = body if isinstance(body, str) else json.dumps(body)
        records.append(
            {
                "messageId": f"{_ID[:-1]}{number}",
                "receiptHandle": f"receipt-{number}",
                "body": text,
                "attributes": {
                    "ApproximateReceiveCount": str(attempt),
                    "SentTimestamp": "1762582328000",
                    "SenderId": ACCOUNT,
                    "ApproximateFirstReceiveTimestamp": "1762582328100",
                },
                "messageAttributes": {},
                "md5OfBody": hashlib.md5(text.encode(), usedforsecurity=False).hexdigest(),
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}",
                "awsRegion": REGION,
            }
        )
    return {"Records": records}


def eventbridge(
    detail_type: str, detail: dict[str, Any], source: str = "flowforge", event_id: str = _ID
) -> dict[str, Any]:
    """An event of the bus."""
    return {
        "version": "0",
        "id": event_id,
        "detail-type": detail_type,
        "source": source,
        "account": ACCOUNT,
        "time": MOMENT,
        "region": REGION,
        "resources": [],
        "detail": detail,
    }


def s3_object_created(bucket: str, key: str, size: int = 1024, version: str | None = None) -> dict[str, Any]:
    """S3's notice of a new object on EventBridge; the key is not quoted there."""
    created = {"key": key, "size": size, "etag": "b1946ac92492d2347c6235b4d2611184", "sequencer": "00690EDFF8A1B2C3D4"}
    if version:
        created["version-id"] = version
    detail = {"version": "0", "bucket": {"name": bucket}, "object": created, "reason": "PutObject"}
    return eventbridge("Object Created", detail, source="aws.s3")


def minio(bucket: str, key: str, size: int = 1024) -> dict[str, Any]:
    """MinIO's webhook notice of a new object; the key is quoted in the record."""
    created = {"key": quote_plus(key), "size": size, "eTag": "b1946ac92492d2347c6235b4d2611184"}
    created |= {"contentType": "application/json", "sequencer": "1875F0E5B1A9C2D3"}
    record = {
        "eventVersion": "2.0",
        "eventSource": "minio:s3",
        "awsRegion": "",
        "eventTime": "2025-11-08T06:12:08.000Z",
        "eventName": "s3:ObjectCreated:Put",
        "userIdentity": {"principalId": "minio"},
        "requestParameters": {"principalId": "minio", "region": "", "sourceIPAddress": "127.0.0.1"},
        "responseElements": {"x-amz-request-id": "1875F0E5B1A9", "x-minio-deployment-id": _ID},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "Config",
            "bucket": {"name": bucket, "ownerIdentity": {"principalId": "minio"}, "arn": f"arn:aws:s3:::{bucket}"},
            "object": created,
        },
        "source": {"host": "127.0.0.1", "port": "", "userAgent": "MinIO"},
    }
    return {"EventName": "s3:ObjectCreated:Put", "Key": f"{bucket}/{key}", "Records": [record]}


def http(
    method: str, path: str, route: str | None = None, body: Any = None, query: dict[str, str] | None = None
) -> dict[str, Any]:
    """A call of the HTTP API (payload format 2.0), whose gateway decodes the parts of the path that are parameters."""
    key = f"{method} {route or path}"
    names = zip((route or path).split("/"), path.split("/"), strict=True)
    parameters = {name[1:-1]: unquote(value) for name, value in names if name.startswith("{")}
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": key,
        "rawPath": path,
        "rawQueryString": "&".join(f"{quote_plus(k)}={quote_plus(v)}" for k, v in (query or {}).items()),
        "headers": {"content-type": "application/json", "host": "api.example.test"},
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": "flowforge",
            "domainName": "api.example.test",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": "example",
            },
            "requestId": _ID,
            "routeKey": key,
            "stage": "$default",
            "time": "08/Nov/2025:06:12:08 +0000",
            "timeEpoch": 1762582328000,
        },
        "isBase64Encoded": False,
    }
    if query:
        event["queryStringParameters"] = query
    if parameters:
        event["pathParameters"] = parameters
    if body is not None:
        event["body"] = body if isinstance(body, str) else json.dumps(body)
    return event
