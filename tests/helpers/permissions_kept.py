"""Permissions that not every run of the tests makes a function use, and why they stay. The one list; patterns are IAM's."""

GIVES_UP = "a message lies in dead letters, and its run is told, only where its step fails for good"
AGAIN = "a message is shown or sent again only where an attempt fails or has to wait"
ENDS_UPLOAD = "an upload is ended only where writing fails"
VERSIONS = "versions are named only in a bucket that keeps them, and the local stack's does not"
REPLAYED = "which dead letters are put back or discarded is a person's choice; all queues are alike to it"
EXPLAINED = "only of a message that SQS has moved by itself: the sweeper says why and puts it back"
SWEPT = "the sweeper follows up what was lost, or folds what is old: nothing of it is there in a sound run"
FENCED = "a claim is given back, or its batch abandoned, only where rows came late or a worker was taken for dead"
ALERTED = "only where a receiver of alerts is set; tests/functions/test_alert_delivery.py tries its calls"
LOOKED_FOR = "read only where a state is empty above a lake without a head: an older version's, or one copied in part"
KEYS_UNTOLD = "queries and calls for many items are recorded without the keys that the condition is about"
NOT_THERE = (
    "it asks for objects that may not be there, which names no prefix; the prefixes bound what else it could list"
)

# (function, action, resource and pattern of its condition, why)
KEPT: tuple[tuple[str, str, str, str], ...] = (
    ("*", "sqs:SendMessage*", "*DeadLetters ", GIVES_UP),
    ("TrackRunFunction", "events:PutEvents", "*", GIVES_UP),
    ("*", "sqs:ChangeMessageVisibility", "*Queue ", AGAIN),
    ("SubmitJobFunction", "sqs:SendMessage", "*SubmitQueue ", AGAIN),
    ("Ingest*Function", "sqs:SendMessage*", "*IngestQueue ", AGAIN),
    ("IngestTableFunction", "sqs:SendMessage*", "*SubmitQueue ", "only where a comparison of a table's keys is due"),
    ("IngestSliceFunction", "sqs:SendMessage", "*SliceQueue ", AGAIN),
    ("WatermarkFunction", "sqs:SendMessage", "*WatermarkQueue ", AGAIN),
    ("RefineSilverFunction", "sqs:SendMessage", "*RefineQueue ", AGAIN),
    ("PublishGoldFunction", "sqs:SendMessage", "*PublishQueue ", AGAIN),
    ("TrackRunFunction", "sqs:SendMessage", "*TrackQueue ", AGAIN),
    ("RecordLineageFunction", "sqs:SendMessage", "*LineageQueue ", AGAIN),
    ("SendAlertsFunction", "sqs:SendMessage", "*AlertQueue ", AGAIN),
    (
        "SubmitJobFunction",
        "dynamodb:*",
        "*flowforge-Watermarks *>*",
        "only of tables under Change Tracking that stand still",
    ),
    (
        "SubmitJobFunction",
        "dynamodb:BatchGetItem",
        "*flowforge-Watermarks ",
        "only of four or more tables under Change Tracking",
    ),
    ("*", "s3:AbortMultipartUpload", "*", ENDS_UPLOAD),
    ("*", "s3:*ObjectVersion", "*", VERSIONS),
    ("SubmitJobFunction", "s3:ListBucket", "* requests/*", "asked only for a request file that is gone"),
    ("SubmitJobFunction", "dynamodb:*", "*flowforge-Schedules TEMPLATE*", KEYS_UNTOLD),
    ("ShowLakeFunction", "dynamodb:Batch*", "*flowforge-Watermarks FACTS*", KEYS_UNTOLD),
    (
        "ShowLakeFunction",
        "dynamodb:*",
        "*flowforge-Runs STOPPED*",
        "only of SQL over the API that has an id, or is to end",
    ),
    ("SubmitJobFunction", "s3:PutObject", "*/landing/* ", "only of a small file that a caller of the API puts"),
    ("PublishGoldFunction", "s3:PutObject", "*/models/* ", "only of a model that a caller of the API puts"),
    ("*", "secretsmanager:RestoreSecret", "*", "only of a connection that is saved again within a week of its removal"),
    (
        "ConnectionsFunction",
        "secretsmanager:PutSecretValue",
        "*",
        "only of a connection that is saved with another password",
    ),
    ("RecordLineageFunction", "secretsmanager:GetSecretValue", "*", "only with a receiver that asks for a key"),
    ("ReplayFunction", "sqs:*", "*DeadLetters ", REPLAYED),
    ("ReplayFunction", "sqs:SendMessage", "*Queue ", REPLAYED),
    ("ReplayFunction", "dynamodb:*", "*flowforge-Runs ", "only where messages are discarded, or were"),
    ("WatermarkFunction", "sqs:*", "*DeadLetters ", EXPLAINED),
    ("WatermarkFunction", "sqs:SendMessage*", "*Queue ", SWEPT),
    ("WatermarkFunction", "s3:*Object", "*/bronze/* ", SWEPT),
    ("WatermarkFunction", "s3:*Object", "*/rejected/* ", SWEPT),
    ("WatermarkFunction", "s3:ListBucket", "* bronze/*", SWEPT),
    ("WatermarkFunction", "dynamodb:*", "*flowforge-Runs*", SWEPT),
    ("WatermarkFunction", "dynamodb:DeleteItem", "*flowforge-Watermarks ", SWEPT),
    ("WatermarkFunction", "dynamodb:BatchWriteItem", "*flowforge-Watermarks ", SWEPT),
    ("WatermarkFunction", "dynamodb:Query", "*/open-batches ", SWEPT),
    ("WatermarkFunction", "dynamodb:Query", "*/listed-files ", "asked once the sweeper has marked a table of files"),
    ("WatermarkFunction", "s3:GetObject", "*/landing/* ", SWEPT),
    ("WatermarkFunction", "s3:ListBucket", "* landing/*", SWEPT),
    ("RefineSilverFunction", "dynamodb:GetItem", "*flowforge-Watermarks ", GIVES_UP),
    ("PublishGoldFunction", "dynamodb:GetItem", "*flowforge-Watermarks ", GIVES_UP),
    ("Ingest*Function", "s3:GetObject", "*/bronze/* ", "read back only where an earlier attempt has landed it"),
    ("Ingest*Function", "dynamodb:DeleteItem", "*flowforge-Watermarks ", FENCED),
    ("Ingest*Function", "s3:PutObject", "*/rejected/* ", "only where a record of a file does not fit"),
    ("IngestSliceFunction", "dynamodb:BatchWriteItem", "*flowforge-Watermarks ", "only of large files"),
    ("IngestSliceFunction", "s3:GetObject", "*/landing/* ", "only of large files"),
    (
        "IngestSliceFunction",
        "s3:GetObject",
        "*/state/* ",
        "read again only where another batch has replaced the lake's head",
    ),
    ("IngestSliceFunction", "s3:ListBucket", "*", NOT_THERE),
    ("DescribeTableFunction", "s3:ListBucket", "* landing/*", NOT_THERE),
    ("DescribeTableFunction", "s3:GetObject", "*/bronze/* ", LOOKED_FOR),
    ("DescribeTableFunction", "s3:GetObject", "*/silver/*/_delta_log/* ", LOOKED_FOR),
    ("SchedulesFunction", "secretsmanager:CreateSecret", "*", "only of a schedule whose request brings a new login"),
    ("SchedulesFunction", "secretsmanager:PutSecretValue", "*", "only of one that brings another password"),
    ("SendAlertsFunction", "dynamodb:*", "*", ALERTED),
    ("SendAlertsFunction", "secretsmanager:GetSecretValue", "*/alerts/* ", ALERTED),
    ("RecordLineageFunction", "s3:ListBucket", "*", NOT_THERE),
    ("MaintainLakeFunction", "s3:DeleteObject", "*", "only of files that are older than VacuumRetentionHours"),
    ("MaintainLakeFunction", "s3:PutObject", "*", "only where small files are merged, or a log gets a checkpoint"),
)
