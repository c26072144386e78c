"""Which API a command speaks to, and whose SQL Server it means when none is named.

`--api`, else FLOWFORGE_API_URL, else the running local stack. A local stack is shown its token; FLOWFORGE_TOKEN names
that of one which is not found from here, or of a deployed API that takes tokens.
"""

import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flowforge.cli.keys import TOKEN_VARIABLE
from flowforge.cli.stack import find_stack, require_stack

if TYPE_CHECKING:
    from flowforge.cli.api import Api


def api_url(given: str | None) -> str:
    """The API's address; Failure when none is named and no stack runs."""
    return given or os.environ.get("FLOWFORGE_API_URL") or require_stack()["api"]


def open_api(given: str | None, sign: bool = False) -> "Api":
    """A client of the API that the command line or the environment names."""
    # httpx takes longer to import than --help may take.
    from flowforge.cli.api import Api

    url = api_url(given)
    if stack := local_stack(url):
        return Api(url, token=stack.get("token"))
    return Api(url, sign, os.environ.get(TOKEN_VARIABLE))


def local_stack(given: str | None) -> dict | None:
    """The running stack's facts if it is the one that serves the chosen API; None for any other API."""
    stack = find_stack()
    if stack is None:
        return None
    chosen = given or os.environ.get("FLOWFORGE_API_URL") or stack["api"]
    return stack if _place(chosen) == _place(str(stack["api"])) else None


def _place(url: str) -> str:
    parts = urlsplit(url.rstrip("/"))
    return parts._replace(netloc=parts.netloc.replace("localhost", "127.0.0.1")).geturl()
