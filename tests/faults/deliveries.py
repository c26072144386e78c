"""What goes between the template's queues and the functions' workers: sources, and messages on their way through one worker."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flowforge.aws.message import body_of, table_of
from infra.local.function import FunctionSettings
from infra.local.resources import Resources
from tests.faults.pool import Work


@dataclass(frozen=True)
class Source:
    """A queue of the template and the function that gets its messages."""

    url: str
    arn: str
    settings: FunctionSettings
    batch_size: int

    @property
    def function(self) -> str:
        return name_of(self.settings)


@dataclass(eq=False)
class Delivery:
    """Messages in a worker's hands; `attempt` is the first one's receive count, `table` its bronze table or ''."""

    source: Source
    messages: list[dict[str, Any]]
    work: Work
    table: str
    attempt: int

    @property
    def function(self) -> str:
        return self.source.function


def name_of(function: FunctionSettings) -> str:
    """The function's name in the template: IngestTable, RefineSilver, …"""
    return function.logical_id.removesuffix("Function")


def read_sources(resources: Resources, functions: list[FunctionSettings]) -> Iterator[Source]:
    """The queues that the template gives to functions."""
    named = {key: function for function in functions for key in (function.arn, function.name)}
    urls = {made["Arn"]: url for url, made in map(resources.make, resources.of_kind("AWS::SQS::Queue"))}
    for mapping in resources.of_kind("AWS::Lambda::EventSourceMapping").values():
        arn = mapping["EventSourceArn"]
        yield Source(urls[arn], arn, named[mapping["FunctionName"]], int(mapping["BatchSize"]))


def run_of(text: str) -> str:
    """The run that a message is about, or ''."""
    try:
        return str(body_of(text).get("run_id") or "")
    except (ValueError, AttributeError):
        return ""


def table_in(text: str) -> str:
    """The bronze table that a message is about, or ''."""
    try:
        body = body_of(text)
        if "request" in body:
            return f"bronze_{body['request']['source_config']['databaseConfig']['tableName']}"
        return table_of(body) or ""
    except (ValueError, AttributeError, KeyError, TypeError):
        return ""
