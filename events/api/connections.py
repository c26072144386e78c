"""Saved connections."""

import re
from collections.abc import Iterator
from typing import Any

from pydantic import Field, field_validator, model_validator

from events.api.base import Answer, Page
from events.choices import Driver
from events.hosts import checked_host, with_address
from events.model import Request
from events.request import other_logins


class SavedConnection(Request):
    """What a user sends to save a connection."""

    id: str
    host: str = Field(min_length=1)
    port: int = Field(1433, ge=1, le=65535)
    database: str = Field(min_length=1)
    username: str = Field(min_length=1)
    password: str = Field(min_length=1, max_length=4000, repr=False)
    trustServerCertificate: bool = False
    driver: Driver = "auto"
    maxConcurrentReads: int | None = Field(None, ge=1, le=1000)

    _address = model_validator(mode="before")(with_address)
    _host = field_validator("host")(checked_host)

    @classmethod
    def contradictions(cls, given: dict[str, Any]) -> Iterator[str | tuple[str, str]]:
        """Only logins by user name and password."""
        yield from other_logins(given)

    @field_validator("id")
    @classmethod
    def _plain_id(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", value):
            raise ValueError("expected letters, digits, _ . and - (at most 64)")
        return value


class ShownConnection(Answer):
    """A saved connection; its password is never shown."""

    id: str
    host: str | None
    port: int | None
    database: str | None
    username: str | None
    trustServerCertificate: bool | None
    driver: str | None
    maxConcurrentReads: int | None
    created_at: str | None


class Connections(Page):
    """Saved connections, by their ids."""

    connections: list[ShownConnection]
