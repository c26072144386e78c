"""Where a password comes from: FLOWFORGE_PASSWORD, stdin, or a prompt; never the command line, which others can read."""

import getpass
import os
import sys

from flowforge.cli.failure import BadRequest


def read_password(username: str, host: str, from_stdin: bool = False) -> str:
    """The password of a login; BadRequest when there is none to be had."""
    if from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
    elif (password := os.environ.get("FLOWFORGE_PASSWORD", "")) == "" and sys.stdin.isatty():
        password = getpass.getpass(f"Password of {username} at {host}: ", stream=sys.stderr)
    if not password:
        raise BadRequest(
            f"no password for {username} at {host}",
            "set FLOWFORGE_PASSWORD, pipe it in with --password-stdin, or run in a terminal to be asked",
        )
    return password
