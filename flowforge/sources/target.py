"""The connection that a caller names: in a request's body, or saved under an id; with its login, ready to open."""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from events.request import Connection, InvalidRequest, mistakes_of
from events.targets import ConnectionReference
from flowforge.aws.secrets import Place, read_login
from flowforge.domain.given import given


class Credentials(BaseModel):
    """User name and password of a login. They live in memory only: the password is fetched from the secret store where a
    connection opens."""

    model_config = ConfigDict(frozen=True)

    username: str
    password: SecretStr


@dataclass(frozen=True)
class Target:
    """A source and its login. The login is not part of its text form."""

    reference: ConnectionReference
    credentials: Credentials


def read_credentials(reference: ConnectionReference) -> Credentials:
    """The login of a reference, from the secret store; raises NotFound, and SecretRefused where it belongs to another server."""
    place = Place(reference.host, reference.port, reference.database, reference.trust_server_certificate)
    username, password = read_login(reference.secret_id, reference.secret_version, place)
    return Credentials(username=username, password=SecretStr(password))


def saved_target(parameters: dict[str, str] | None) -> Target:
    """The saved connection that the address names by `connection_id`; raises InvalidRequest or NotFound."""
    connection_id = (parameters or {}).get("connection_id")
    if not connection_id:
        problem = "expected a saved connection's id; send an inline connection by POST"
        raise InvalidRequest([{"field": "connection_id", "problem": problem}])
    return target_of(Connection(connectionId=connection_id))


def target_in(body: dict[str, Any]) -> Target:
    """The connection in a body `{"connection": ...}`, or in a whole job request; raises InvalidRequest with every mistake."""
    source = body.get("source_config")
    document = source.get("connection") if isinstance(source, dict) else body.get("connection")
    if not isinstance(document, dict):
        raise InvalidRequest(
            [{"field": "connection", "problem": "expected an object with host, database, username, ..."}]
        )
    try:
        connection = Connection.model_validate(document)
    except ValidationError as error:
        raise InvalidRequest(mistakes_of(error, "connection")) from None
    return target_of(connection)


def target_of(connection: Connection) -> Target:
    """A connection with its login; an inline password is used as it is and stored nowhere."""
    from flowforge.state.connections import check_secret_id, saved_reference

    if connection.connectionId:
        reference = saved_reference(connection.connectionId)
        return Target(reference, read_credentials(reference))
    reference = ConnectionReference(
        host=given(connection.host),
        port=connection.port,
        database=given(connection.database),
        secret_id=connection.secretId or "",
        trust_server_certificate=connection.trustServerCertificate,
        driver=connection.driver,
    )
    if connection.secretId:
        check_secret_id(connection.secretId)
        return Target(reference, read_credentials(reference))
    login = Credentials(username=given(connection.username), password=SecretStr(given(connection.password)))
    return Target(reference, login)
