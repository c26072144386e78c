"""Creates what the template declares on the embedded AWS: buckets, queues, tables, secrets, buses and rules.

A resource is created the first time that something refers to it, so the template's own references give the order.
Kinds without local meaning (roles, permissions, alarms, log groups, policies, stages) only get a name, so that
references to them resolve; `ignored` lists them. Functions, event source mappings, schedules and routes are left to
the modules that run them.

A rule that targets a function delivers to an internal queue of that function (`async_queues`), as Lambda keeps one
for asynchronous invocations; its consumer is in `event_sources.py`. Schedules are never created on moto: it matches a
rule without a pattern with every event.
"""

import json
import secrets
import string
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from infra.local.intrinsics import Intrinsics
from infra.local.template import ACCOUNT, REGION, Template, TemplateError

Made = tuple[Any, dict[str, Any]]  # what Ref gives, what GetAtt gives

QUEUE_ATTRIBUTES = (
    "ContentBasedDeduplication", "DelaySeconds", "FifoQueue", "MaximumMessageSize", "MessageRetentionPeriod",
    "ReceiveMessageWaitTimeSeconds", "RedrivePolicy", "VisibilityTimeout",
)  # fmt: skip
TABLE_PROPERTIES = (
    "AttributeDefinitions", "BillingMode", "GlobalSecondaryIndexes", "KeySchema", "LocalSecondaryIndexes",
    "ProvisionedThroughput", "StreamSpecification",
)  # fmt: skip
# MinIO's name for the webhook that infra/compose.yaml sets up (MINIO_NOTIFY_WEBHOOK_*_FLOWFORGE).
MINIO_WEBHOOK_ARN = "arn:minio:sqs::FLOWFORGE:webhook"
# How long an asynchronous event stays hidden while its function runs: longer than any function may.
ASYNC_VISIBILITY_SECONDS = 1000


class Resources:
    """The resources of one stack. `endpoint` is the embedded AWS; `s3_endpoint` another server for S3, or None."""

    def __init__(
        self, template: Template, stack_name: str, endpoint: str, s3_endpoint: str | None, credentials: tuple[str, str]
    ) -> None:
        self.template, self._stack, self._s3_endpoint = template, stack_name, s3_endpoint
        self.intrinsics = Intrinsics(template, stack_name, self.make)
        self.buckets: list[str] = []
        self.async_queues: dict[str, str] = {}  # function ARN -> queue URL
        self.schedules: dict[str, dict[str, Any]] = {}
        self.ignored: list[str] = []
        self.warnings: list[str] = []
        self._made: dict[str, Made] = {}
        self._session = boto3.Session(*credentials, region_name=REGION)
        self._endpoints = defaultdict(lambda: endpoint, {"s3": s3_endpoint or endpoint})
        self._clients: dict[str, Any] = {}
        self._builders: dict[str, Callable[[str, dict[str, Any]], Made]] = {
            "AWS::S3::Bucket": self._bucket, "AWS::SQS::Queue": self._queue, "AWS::DynamoDB::Table": self._table,
            "AWS::SecretsManager::Secret": self._secret, "AWS::Events::EventBus": self._bus,
            "AWS::Events::Rule": self._rule, "AWS::Scheduler::Schedule": self._schedule,
        }  # fmt: skip

    def create_all(self) -> None:
        """Create every resource of the template that is not created yet."""
        for logical in self.template.resources:
            self.make(logical)

    def of_kind(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the resolved properties of every resource of a kind whose condition holds, by logical id."""
        return {
            logical: self.intrinsics.resolve(resource.get("Properties") or {})
            for logical, resource in self.template.resources.items()
            if resource["Type"] == kind and self.make(logical)[0] is not None
        }

    def make(self, logical: str) -> Made:
        """Return what Ref and GetAtt give for a resource, creating it if that is still to do."""
        if logical not in self._made:
            if logical not in self.template.resources:
                raise TemplateError(f"the template refers to {logical}, which it does not declare")
            resource = self.template.resources[logical]
            if "Condition" in resource and not self.intrinsics.condition(resource["Condition"]):
                self._made[logical] = (None, {})
            elif builder := self._builders.get(resource["Type"]):
                properties = self.intrinsics.resolve(resource.get("Properties") or {})
                try:
                    self._made[logical] = builder(logical, properties)
                except ClientError as error:
                    raise TemplateError(f"{logical}: {error}") from error
            else:
                self._made[logical] = self._name_only(logical, resource)
        return self._made[logical]

    @property
    def s3(self) -> Any:
        """The client of the store that holds the buckets."""
        return self._client("s3")

    def async_queue(self, function_arn: str) -> str:
        """Return the URL of the queue of a function's asynchronous invocations, creating it the first time."""
        if function_arn not in self.async_queues:
            self.async_queues[function_arn] = self._client("sqs").create_queue(
                QueueName=f"async-{function_arn.rsplit(':', 1)[1]}",
                Attributes={"VisibilityTimeout": str(ASYNC_VISIBILITY_SECONDS)},
            )["QueueUrl"]
        return self.async_queues[function_arn]

    def _client(self, service: str) -> Any:
        if service not in self._clients:
            config = Config(retries={"max_attempts": 3}, s3={"addressing_style": "path"})
            self._clients[service] = self._session.client(service, endpoint_url=self._endpoints[service], config=config)
        return self._clients[service]

    def _name_only(self, logical: str, resource: dict[str, Any]) -> Made:
        properties, kind = resource.get("Properties") or {}, resource["Type"]
        if kind == "AWS::Lambda::Function":
            name = self.intrinsics.resolve(properties.get("FunctionName")) or f"{self._stack}-{logical}"
            return name, {"Arn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"}
        if not kind.startswith(("AWS::Lambda::", "AWS::ApiGatewayV2::")):
            self.ignored.append(f"{logical} ({kind})")
        arn = f"arn:aws:local:{REGION}:{ACCOUNT}:{logical}"
        return logical, defaultdict(lambda: arn)

    def _bucket(self, logical: str, properties: dict[str, Any]) -> Made:
        s3, name = self._client("s3"), properties.get("BucketName") or f"{self._stack}-{logical}".lower()
        try:
            s3.create_bucket(Bucket=name)
        except (s3.exceptions.BucketAlreadyOwnedByYou, s3.exceptions.BucketAlreadyExists):
            if self._s3_endpoint is None:
                raise
        if (properties.get("VersioningConfiguration") or {}).get("Status") == "Enabled":
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        notified = "EventBridgeConfiguration" in (properties.get("NotificationConfiguration") or {})
        if notified:
            self._notify(s3, name)
        self.buckets.insert(0 if notified else len(self.buckets), name)
        return name, {"Arn": f"arn:aws:s3:::{name}", "DomainName": f"{name}.s3.amazonaws.com"}

    def _notify(self, s3: Any, bucket: str) -> None:
        if self._s3_endpoint is None:
            configuration: dict[str, Any] = {"EventBridgeConfiguration": {}}
        else:  # MinIO has no event bus: it posts to the stack's webhook instead
            configuration = {"QueueConfigurations": [{"QueueArn": MINIO_WEBHOOK_ARN, "Events": ["s3:ObjectCreated:*"]}]}
        try:
            s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=configuration)
        except ClientError as error:
            if self._s3_endpoint is None:
                raise
            self.warnings.append(
                f"{self._s3_endpoint} does not notify {MINIO_WEBHOOK_ARN}, so that files dropped there start nothing: "
                f"{error}; infra/compose.yaml shows how"
            )

    def _queue(self, logical: str, properties: dict[str, Any]) -> Made:
        is_fifo = str(properties.get("FifoQueue", False)).lower() == "true"
        name = properties.get("QueueName") or f"{self._stack}-{logical}" + (".fifo" if is_fifo else "")
        attributes = {
            key: json.dumps(value) if isinstance(value, dict | bool) else str(value)
            for key, value in properties.items()
            if key in QUEUE_ATTRIBUTES
        }
        url = self._client("sqs").create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        return url, {"Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}", "QueueName": name, "QueueUrl": url}

    def _table(self, logical: str, properties: dict[str, Any]) -> Made:
        name, dynamodb = properties.get("TableName") or f"{self._stack}-{logical}", self._client("dynamodb")
        wanted = {key: value for key, value in properties.items() if key in TABLE_PROPERTIES}
        table = dynamodb.create_table(TableName=name, **wanted)["TableDescription"]
        if "TimeToLiveSpecification" in properties:
            dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=properties["TimeToLiveSpecification"])
        return name, {"Arn": table["TableArn"], "StreamArn": table.get("LatestStreamArn")}

    def _secret(self, logical: str, properties: dict[str, Any]) -> Made:
        text, wanted = properties.get("SecretString"), properties.get("GenerateSecretString") or {}
        if text is None:
            generated = "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(32))
            key = wanted.get("GenerateStringKey")
            text = json.dumps(json.loads(wanted["SecretStringTemplate"]) | {key: generated}) if key else generated
        name = properties.get("Name") or f"{self._stack}/{logical}"
        arn = self._client("secretsmanager").create_secret(Name=name, SecretString=text)["ARN"]
        return arn, {"Id": arn}

    def _bus(self, logical: str, properties: dict[str, Any]) -> Made:
        arn = self._client("events").create_event_bus(Name=properties["Name"])["EventBusArn"]
        return properties["Name"], {"Arn": arn, "Name": properties["Name"]}

    def _rule(self, logical: str, properties: dict[str, Any]) -> Made:
        name = properties.get("Name") or f"{self._stack}-{logical}"
        made = name, {"Arn": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{name}"}
        if properties.get("State") == "DISABLED":
            return made
        if "ScheduleExpression" in properties:
            self.schedules[logical] = properties
            return made
        targets = [self._target(logical, target) for target in properties["Targets"]]
        events, bus = self._client("events"), properties.get("EventBusName", "default")
        events.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps(properties["EventPattern"]))
        events.put_targets(Rule=name, EventBusName=bus, Targets=targets)
        return made

    def _target(self, rule: str, target: dict[str, Any]) -> dict[str, Any]:
        if unsupported := {"InputTransformer", "InputPath"} & target.keys():
            raise TemplateError(
                f"{rule}: the local stack does not support {', '.join(sorted(unsupported))} of a target"
            )
        arn = target["Arn"]
        if ":lambda:" in arn:
            arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{self.async_queue(arn).rsplit('/', 1)[1]}"
        elif ":sqs:" not in arn:
            raise TemplateError(f"{rule}: the local stack delivers to queues and functions only, not to {arn}")
        kept = {key: target[key] for key in ("Input", "SqsParameters") if key in target}
        return {"Id": target["Id"], "Arn": arn, **kept}

    def _schedule(self, logical: str, properties: dict[str, Any]) -> Made:
        name = properties.get("Name") or f"{self._stack}-{logical}"
        if properties.get("State") != "DISABLED":
            self.schedules[logical] = {**properties, "Targets": [properties["Target"]]}
        return name, {"Arn": f"arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/{name}"}
