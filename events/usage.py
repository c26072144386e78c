"""What one delivery of a message has used of AWS, as its function saw it: seconds, memory, calls.

It goes with the fact that the delivery announces, so it costs no call of its own. The counts are by what AWS charges for:

    s3_puts           PUT, COPY, POST and LIST requests
    s3_gets           all others but DELETE, which is free
    dynamodb_calls    calls, whatever they hold
    dynamodb_reads    read request units, as DynamoDB tells them
    dynamodb_writes   write request units, likewise
    sqs, events, secrets   calls of these
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Counted = Literal[
    "s3_puts", "s3_gets", "dynamodb_calls", "dynamodb_reads", "dynamodb_writes", "sqs", "events", "secrets"
]


class Usage(BaseModel):
    """Of one delivery, from when it was handed to its function until the fact was announced."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str = Field(description="the same for one delivery, however often its fact arrives")
    step: str
    attempt: int = Field(1, description="which delivery of its message it was; those before have told nothing")
    cold: bool = Field(False, description="whether the process had just been started")
    seconds: float
    memory_mb: int = Field(0, description="of the function; 0 where that is not known")
    counts: dict[str, int | float] = Field(
        default_factory=dict, description="by what AWS charges for; what is 0 is left out"
    )
