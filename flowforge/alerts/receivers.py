"""Sends an alert: to a webhook, signed as Standard Webhooks say (HMAC-SHA256 over id, time and body), and to Slack.

Guarantees: addresses are https, with the certificate verified, but for this machine's where the local stack allows it;
link-local, metadata and multicast addresses are never gone to, whatever a name means: it is resolved once, every address is
looked at, and one of those is connected to. Nothing is followed to another address. Keys, and Slack's address, which is a secret,
are in no text.

Resource management: a connection is a call's own, and closed with it.
"""

import base64
import binascii
import hashlib
import hmac
import ipaddress
import json
import socket
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import urllib3
from botocore.httpsession import get_cert_path

from flowforge.alerts.alert import Alert, slack_text
from flowforge.aws.secrets import read_alert_secret
from flowforge.domain.errors import EndpointRefused, EndpointUnavailable
from flowforge.runtime.settings import settings
from flowforge.sources.reachable import special_of

TIMEOUT_SECONDS = 5.0
LATER = (408, 425, 429)  # refusals that are about the moment, besides all of 500 and above
REMEDY = "Check AlertWebhook, AlertSecret and AlertSlackSecret, then replay the dead letters."

BASE64, KEY_BYTES = "whsec_", 24
MAKE_A_KEY = (
    f"Make it {BASE64} and what `openssl rand -base64 32` prints, in the secret and at the receiver; then replay the dead "
    "letters."
)


def receivers() -> list[dict[str, Any]]:
    """The receivers that are set: `name`, `host`, and whether what they get is `signed`. Of an address no more is shown: the rest
    may be a secret."""
    found = []
    if url := settings().alert_webhook:
        found.append({"name": "webhook", "host": _host(url), "signed": bool(settings().alert_secret)})
    if settings().alert_slack_secret:
        found.append({"name": "slack", "host": "", "signed": False})
    return found


def send(alert: Alert, now: datetime) -> None:
    """Sends an alert to all receivers that are set. Raises EndpointUnavailable when asking again may help, else EndpointRefused;
    NotFound when a secret cannot be read."""
    for receiver in receivers():
        send_to(receiver["name"], alert, now)


def send_to(receiver: str, alert: Alert, now: datetime) -> None:
    """Sends an alert to one of them; raises as `send` does."""
    if receiver == "slack":
        url = read_alert_secret(settings().alert_slack_secret, "url")
        return _post("Slack", url, json.dumps(slack_text(alert)).encode(), {})
    body = alert.model_dump_json(exclude_none=True).encode()
    key = read_alert_secret(settings().alert_secret, "key") if settings().alert_secret else ""
    return _post("the alert webhook", settings().alert_webhook, body, signed(alert.id, now, body, key))


def signed(alert_id: str, now: datetime, body: bytes, key: str) -> dict[str, str]:
    """The headers by which a receiver knows an alert, as Standard Webhooks have them; without a key it is not signed. A key is
    `whsec_` and base64, or any other text, of 24 bytes at least (their specification, "Symmetric: HMAC-SHA256")."""
    stamp = str(int(now.timestamp()))
    headers = {"webhook-id": alert_id, "webhook-timestamp": stamp}
    if not key:
        return headers
    content = b".".join([alert_id.encode(), stamp.encode(), body])
    digest = hmac.new(_key_bytes(key), content, hashlib.sha256).digest()
    return headers | {"webhook-signature": f"v1,{base64.b64encode(digest).decode()}"}


def _key_bytes(key: str) -> bytes:
    try:
        found = base64.b64decode(key.removeprefix(BASE64), validate=True) if key.startswith(BASE64) else key.encode()
    except binascii.Error:
        raise EndpointRefused(f"the key of AlertSecret begins with {BASE64} and is no base64", MAKE_A_KEY) from None
    if len(found) < KEY_BYTES:
        raise EndpointRefused(
            f"the key of AlertSecret has {len(found)} bytes: with fewer than {KEY_BYTES} others could sign", MAKE_A_KEY
        )
    return found


def _post(name: str, url: str, body: bytes, headers: dict[str, str]) -> None:
    scheme, host, port, path = _parts(name, url)
    addresses = _addresses(name, scheme, host, port)
    told = {"host": host if port in (80, 443) else f"{host}:{port}", "content-type": "application/json", **headers}
    status, reason = 0, ""
    for address in addresses:
        try:
            with _pool(scheme, host, address, port) as pool:
                answer = pool.request("POST", path, body=body, headers=told, redirect=False, preload_content=False)
                status = answer.status
                answer.close()  # whatever it says: nobody reads it
            break
        except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError) as error:
            reason = type(error).__name__  # nobody has heard of it yet: another address of the name may answer
        except (urllib3.exceptions.HTTPError, OSError) as error:
            reason = type(error).__name__
            break
    if not status:
        raise EndpointUnavailable(f"{name} cannot be reached ({reason})")
    if status >= 500 or status in LATER:
        raise EndpointUnavailable(f"{name} answered {status}")
    if status >= 300:
        raise EndpointRefused(f"{name} answered {status}", REMEDY)


def _pool(scheme: str, host: str, address: str, port: int) -> Any:
    options: dict[str, Any] = {"timeout": TIMEOUT_SECONDS, "retries": False, "maxsize": 1}
    if scheme == "http":
        return urllib3.HTTPConnectionPool(address, port, **options)
    ca_file = settings().alert_ca_file or get_cert_path(True)
    return urllib3.HTTPSConnectionPool(
        address,
        port,
        server_hostname=host,
        assert_hostname=host,
        cert_reqs="CERT_REQUIRED",
        ca_certs=ca_file,
        **options,
    )


def _host(url: str) -> str:
    try:
        return urlsplit(url).netloc.rpartition("@")[2]
    except ValueError:  # it is told when something is sent there
        return ""


def _parts(name: str, url: str) -> tuple[str, str, int, str]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        parts, host, port = urlsplit(""), "", None
    if not host or parts.scheme not in ("http", "https") or parts.username or parts.password or parts.fragment:
        raise EndpointRefused(
            f"the address of {name} is none: expected https://host[:port]/path, without a login", REMEDY
        )
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return parts.scheme, host, port or (443 if parts.scheme == "https" else 80), path


def _addresses(name: str, scheme: str, host: str, port: int) -> list[str]:
    """The addresses of a host, once every one of them may be gone to."""
    try:
        found = list(dict.fromkeys(str(one[4][0]) for one in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
    except (OSError, UnicodeError) as error:
        raise EndpointUnavailable(f"the host name of {name} cannot be resolved ({type(error).__name__})") from None
    loopback = [one for one in found if _is_loopback(one)]
    if any(special_of(one) for one in found) or (loopback and not settings().alert_loopback):
        raise EndpointRefused(f"{name} is at an address of the machine itself or of its network's services", REMEDY)
    if scheme == "http" and len(loopback) < len(found):
        raise EndpointRefused(f"{name} is not https", "Alerts go over TLS only.")
    return found


def _is_loopback(address: str) -> bool:
    one = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(one, "ipv4_mapped", None)
    return one.is_loopback or bool(mapped and mapped.is_loopback)
