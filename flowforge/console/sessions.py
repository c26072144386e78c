"""Sessions of browsers: begun by a link of one use, shown as a bearer token, over with the server's process.

The link carries a code behind its `#`, which a browser sends to nobody; the page gives it for a token, which it keeps in the
storage of its own origin (scheme, host and port). No cookie: a browser sends those to every port of a host. A token that is
left in a browser is worth nothing to whoever takes the port afterwards, as it dies with the process that gave it.
"""

import hashlib
import secrets
import threading
import time
from collections import OrderedDict

CODE_SECONDS = 600.0
MOST_CODES = 20
MOST_SESSIONS = 100  # one more ends the oldest


class Sessions:
    """The codes that wait and the tokens that are good; safe between threads. Kept as digests only."""

    def __init__(self) -> None:
        self._codes: OrderedDict[bytes, float] = OrderedDict()
        self._tokens: OrderedDict[bytes, None] = OrderedDict()
        self._lock = threading.Lock()

    def code(self) -> str:
        """A new code, good once and for CODE_SECONDS."""
        made = secrets.token_urlsafe()
        with self._lock:
            self._codes[_digest(made)] = time.monotonic() + CODE_SECONDS
            while len(self._codes) > MOST_CODES:
                self._codes.popitem(last=False)
        return made

    def enter(self, code: str) -> str | None:
        """The token of a new session; None for a code that was used, is too old or was never given."""
        with self._lock:
            if self._codes.pop(_digest(code), 0.0) < time.monotonic():
                return None
            token = secrets.token_urlsafe()
            self._tokens[_digest(token)] = None
            while len(self._tokens) > MOST_SESSIONS:
                self._tokens.popitem(last=False)
        return token

    def knows(self, token: str) -> bool:
        """Whether a token is that of a session."""
        with self._lock:
            return _digest(token) in self._tokens


def link(url: str, code: str) -> str:
    """The address that lets a browser in."""
    return f"{url}/#code={code}"


def bearer_of(authorization: str) -> str:
    """The token in an Authorization header; empty where it shows none."""
    scheme, _, shown = authorization.partition(" ")
    return shown.strip() if scheme.lower() == "bearer" else ""


def _digest(text: str) -> bytes:
    # What a client has sent may be no text; a digest takes the same time for every guess.
    return hashlib.sha256(text.encode(errors="surrogatepass")).digest()
