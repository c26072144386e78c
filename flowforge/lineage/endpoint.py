"""The receiver of lineage events (Marquez, DataHub, …): OpenLineage's own HTTP transport, without its retries and redirects.

Guarantees: an address is https, with the certificate verified, but for one on this machine. Nothing is followed to another
address, so an API key goes nowhere else, and an event that was not taken is an error. Retrying is left to the queue: a receiver
that is down holds up nothing but the copies for it. No error text holds the key or what the receiver answered.

Resource management: the session is a call's own and closed with it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import requests
from openlineage.client.transport.http import ApiKeyTokenProvider, HttpConfig, HttpSslContextConfig, HttpTransport

from flowforge.aws.secrets import read_api_key
from flowforge.domain.errors import EndpointRefused, EndpointUnavailable
from flowforge.domain.given import given
from flowforge.runtime.settings import settings

TIMEOUT_SECONDS = 5
LATER = (408, 425, 429)  # refusals that are about the moment, besides all of 500 and above
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Endpoint:
    """An open connection to the receiver."""

    def __init__(self, transport: HttpTransport, host: str):
        self._transport, self._host = transport, host

    def send(self, event: Any) -> None:
        """Sends one event. Raises EndpointUnavailable when asking again may help, else EndpointRefused."""
        try:
            self._transport.emit(event)
        except requests.HTTPError as error:
            status = given(error.response).status_code
            told = f"the lineage endpoint {self._host} answered {status}"
            if status >= 500 or status in LATER:
                raise EndpointUnavailable(told) from None
            raise EndpointRefused(
                told, "Check LineageEndpoint and the key of LineageSecret, then replay the dead letters."
            ) from None
        except requests.TooManyRedirects:
            raise EndpointRefused(
                f"the lineage endpoint {self._host} sends to another address", "Set that as LineageEndpoint."
            ) from None
        except (requests.RequestException, OSError) as error:
            raise EndpointUnavailable(
                f"the lineage endpoint {self._host} cannot be reached ({type(error).__name__})"
            ) from None


@contextmanager
def open_endpoint() -> Iterator[Endpoint | None]:
    """The receiver that is set; None where there is none. Raises EndpointRefused for an address that is not one, NotFound when
    the key's secret cannot be read."""
    url = settings().lineage_endpoint
    if not url:
        yield None
        return
    host = _checked_host(url)
    session = requests.Session()
    session.max_redirects = 0
    session.trust_env = False  # a .netrc or a variable may not choose the key, the certificate's signer or a proxy
    config = HttpConfig(
        url=url.rstrip("/") + "/", timeout=TIMEOUT_SECONDS, verify=True, session=session, retry={"total": 0}
    )
    if settings().lineage_secret:
        config.auth = ApiKeyTokenProvider({"apiKey": read_api_key(settings().lineage_secret)})
    if settings().lineage_ca_file:
        config.ssl_context = HttpSslContextConfig(ca_cert_path=settings().lineage_ca_file)
    transport = HttpTransport(config)
    try:
        yield Endpoint(transport, host)
    finally:
        transport.close()


def _checked_host(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        parts, host = urlsplit(""), ""
    if not host or parts.username or parts.password or parts.query or parts.fragment:
        raise EndpointRefused(
            "LineageEndpoint is not an address: expected https://host[:port][/path], without a login",
            "Set it right, or leave it empty to keep lineage in the lake only.",
        )
    if parts.scheme != "https" and not (parts.scheme == "http" and host in LOOPBACK):
        raise EndpointRefused(f"LineageEndpoint {host} is not https", "Lineage goes over TLS only.")
    return host
