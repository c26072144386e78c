"""`flowforge console`: lets a browser into the local stack's pages, or serves them before a deployed API.

The pages before a deployed API are served on loopback by this process, which signs what they ask with the caller's own AWS
credentials; these stay in this process.
"""

from contextlib import suppress
from typing import Annotated, Any

import typer

from flowforge.cli import keys
from flowforge.cli.failure import GOOD, UNREACHABLE, BadRequest, Failure
from flowforge.cli.options import Session, api_command
from flowforge.cli.target import api_url, local_stack

Port = Annotated[
    int, typer.Option("--port", min=0, max=65535, help="Before a deployed API: port of the pages; 0 is any.")
]


@api_command
def console(session: Session, port: Port = 0) -> int:
    """Print a link that lets one browser into the console; before a deployed API, serve it until Ctrl-C."""
    if stack := local_stack(session.api):
        _tell(session, _code_of(stack))
        return GOOD
    with session.open() as api:
        api.get("runs", limit=1)  # what is wrong with the address or the credentials is told here
        _serve(session, api, port)
    return GOOD


def _tell(session: Session, url: str) -> None:
    session.out.answer({"url": url}, f"Open within ten minutes, in one browser: {url}")
    session.out.flush()


def _code_of(stack: dict[str, Any]) -> str:
    """The link to a local stack's own pages."""
    import httpx

    from flowforge.console.sessions import link

    try:
        shown = keys.bearer(str(stack.get("token")))
        answer = httpx.post(f"{stack['api']}/_local/console", headers=shown, trust_env=False)
        return link(stack["api"], answer.raise_for_status().json()["code"])
    except (httpx.HTTPError, ValueError, KeyError) as error:
        remedy = "start it anew with `flowforge up`: one of an earlier version has no pages"
        raise Failure(
            f"the local stack at {stack['api']} gives no link: {error}",
            remedy,
            error="NoConsole",
            exit_code=UNREACHABLE,
        ) from error


def _serve(session: Session, api: Any, port: int) -> None:
    from importlib.metadata import version

    import httpx

    from flowforge.console.server import Answer, ConsoleServer
    from flowforge.console.sessions import link

    def pass_on(method: str, target: str, content_type: str | None, body: bytes) -> Answer:
        try:
            answer = api.pass_on(method, target, content_type, body)
        except httpx.HTTPError as error:
            told = b'{"error": "ApiUnreachable", "message": "the API does not answer"}'
            return Answer(
                504 if isinstance(error, httpx.TimeoutException) else 502, {"content-type": "application/json"}, told
            )
        return Answer(answer.status_code, answer.headers, answer.content)

    about = {"kind": "deployed API", "api": api_url(session.api), "version": version("flowforge")}
    try:
        server = ConsoleServer(port, about, pass_on)
    except OSError as error:
        raise BadRequest(
            f"port {port} cannot be taken: {error.strerror}", "give another --port, or 0 for any"
        ) from error
    with server, suppress(KeyboardInterrupt):
        _tell(session, link(server.url, server.sessions.code()))
        server.serve_forever(poll_interval=0.1)
