"""The connection of a request: how a SQL Server is reached."""

from collections.abc import Iterator
from typing import Any

from pydantic import Field, field_validator, model_validator

from events.choices import Driver
from events.hosts import checked_host, with_address
from events.model import Request
from events.redaction import shown_name

OTHER_LOGINS = ("authentication", "tenantId", "clientId", "clientSecret", "accessToken", "trustedConnection")
LOGINS = (
    "a connection logs in by username and password, of SQL Server or as DOMAIN\\user. Entra ID, managed identities and service "
    "principals need a driver that asks for tokens, which the one for questions (pymssql) does not: make it a SQL login"
)


def other_logins(given: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The fields of a connection that ask for another login than there is, each with what there is."""
    yield from ((name, LOGINS) for name in OTHER_LOGINS if name in given)


class Connection(Request):
    """How to reach the SQL Server: inline, by a secret's id, or by a saved connection's id."""

    connectionId: str | None = Field(default=None, description="id of a connection saved by POST /api/connections")
    host: str | None = None
    port: int = Field(default=1433, ge=1, le=65535)
    database: str | None = None
    username: str | None = None
    password: str | None = Field(default=None, repr=False, max_length=4000)
    secretId: str | None = Field(
        default=None, description='Secrets Manager name of {"username", "password", "host", "port", "database"}'
    )
    trustServerCertificate: bool = Field(default=False, description="true turns certificate checks off; TLS stays on")
    driver: Driver = Field(default="auto", description="extraction driver")
    maxConcurrentReads: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="reads of this server and database at the same time; default: the deployment's",
    )

    @classmethod
    def contradictions(cls, given: dict[str, Any]) -> Iterator[str | tuple[str, str]]:
        """A connection is an id alone, or an address with a login."""
        yield from other_logins(given)
        if given.get("connectionId"):
            extra = [name for name, value in given.items() if name != "connectionId" and value is not None]
            if extra:
                yield f"connectionId stands alone: remove {', '.join(map(shown_name, extra))}"
            return
        wanted = ["host", "database"] if given.get("secretId") else ["host", "database", "username", "password"]
        missing = [field for field in wanted if given.get(field) in (None, "")]
        if missing:
            yield f"missing {', '.join(missing)} (or name a saved connection with connectionId)"
        extra = [field for field in ("username", "password") if given.get("secretId") and given.get(field) is not None]
        if extra:
            yield f"secretId holds the login: remove {', '.join(extra)}"

    _address = model_validator(mode="before")(with_address)
    _host = field_validator("host")(checked_host)
