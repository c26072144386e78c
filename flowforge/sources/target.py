"""The connection that a caller names: in a request's body, or saved under an id; with its login, ready to open."""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from events.choices import DatabaseKind
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


def target_in(body: dict[str, Any]) -> Target:
    """The connection in a body `{"connection": ...}`, or in a whole job request; raises InvalidRequest with every mistake."""
    from events.api.database import SourceQuestion  # what the API takes and answers: a worker needs none of it

    try:
        question = SourceQuestion.model_validate(body)
    except ValidationError as error:
        raise InvalidRequest(mistakes_of(error)) from None
    return target_of(question.connection)


def target_of(connection: Connection, kind: DatabaseKind = "sql-server") -> Target:
    """A connection to a database of this kind, with its login; an inline password is used as it is and stored nowhere."""
    from flowforge.state.connections import check_secret_id, saved_reference

    if connection.connectionId:
        reference = saved_reference(connection.connectionId, kind)
        return Target(reference, read_credentials(reference))
    reference = ConnectionReference(
        kind=kind,
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
