"""A login for a source. It lives in memory only: the password is fetched from the secret store where a connection
opens."""

from pydantic import BaseModel, ConfigDict, SecretStr


class Credentials(BaseModel):
    """User name and password of a SQL Server login."""

    model_config = ConfigDict(frozen=True)

    username: str
    password: SecretStr
