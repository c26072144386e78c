"""The two bases of every contract: strict requests and tolerant messages.

A request comes from a person, so an unknown field is a typing mistake and is refused. A message comes from another
function, perhaps of a newer version, so unknown fields are ignored: that is what makes a rolling upgrade work.
Both are frozen: a message is a fact or an order, never a scratch pad.
"""

from pydantic import BaseModel, ConfigDict

SCHEMA_VERSION = 1


class Request(BaseModel):
    """A document written by a user; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=False)


class Message(BaseModel):
    """A command or event between functions; unknown fields are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: int = SCHEMA_VERSION
