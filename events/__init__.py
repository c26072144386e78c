"""The contracts between users, functions and the bus. They depend on pydantic and nothing else."""

from events.commands import IngestSlice, IngestTable, MaintainTable, ReleaseQuarantine, SubmitJob
from events.facts import (
    BatchEvent,
    BronzeLanded,
    GoldPublished,
    IntervalEmpty,
    JobAccepted,
    ModelsPublished,
    PublishedModel,
    SilverRefined,
    SlicesRead,
    StepFailed,
    TableEvent,
    WatermarkCommitted,
)
from events.request import InvalidRequest, JobRequest, parse_job_request

__all__ = [
    "BatchEvent",
    "BronzeLanded",
    "GoldPublished",
    "IngestSlice",
    "IngestTable",
    "IntervalEmpty",
    "InvalidRequest",
    "JobAccepted",
    "JobRequest",
    "MaintainTable",
    "ModelsPublished",
    "PublishedModel",
    "ReleaseQuarantine",
    "SilverRefined",
    "SlicesRead",
    "StepFailed",
    "SubmitJob",
    "TableEvent",
    "WatermarkCommitted",
    "parse_job_request",
]
