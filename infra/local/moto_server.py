"""The embedded AWS: moto's server, mended (`moto_mendings`), run as `python -m infra.local.moto_server FD [FOLDER]`.

FD is a listening socket that the parent has bound, so that no other server can ever answer in this one's place. With FOLDER,
which nobody else may use, what it holds outlives it (`moto_mendings.keeping`). It answers to who signs with the AWS_ACCESS_KEY_ID
and AWS_SECRET_ACCESS_KEY that it is started with (`signatures`).
"""

import http.client
import logging
import os
import socket
import sqlite3
import sys
from pathlib import Path
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from werkzeug.serving import make_server

from infra.local.aws_calls import CountedCalls
from infra.local.collector import keep_what_is_there
from infra.local.kept import Kept
from infra.local.kept_connections import KeptConnections, read_headers
from infra.local.moto_mendings.mending import mend_moto
from infra.local.moto_mendings.requests import create_plain_app
from infra.local.needed_rights import recording
from infra.local.no_space import NoSpaceTold, is_refusal, told
from infra.local.own_programs import OwnCallsOnly
from infra.local.signatures import SignedCallsOnly


def main() -> None:
    """Serve every service on the given listening socket until killed."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    keys = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
    os.umask(0o077)  # there are secrets in what is kept
    http.client.parse_headers = read_headers
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    mend_moto(_kept(folder) if folder else None)
    with socket.socket(fileno=int(sys.argv[1])) as listener:
        host, port = listener.getsockname()
        app: Any = DomainDispatcherApplication(create_plain_app)
        app.debug = True
        telling = NoSpaceTold(app, folder)
        server = make_server(
            host,
            port,
            OwnCallsOnly(SignedCallsOnly(CountedCalls(recording(telling)), *keys)),
            threaded=True,
            request_handler=KeptConnections,
            fd=listener.fileno(),
        )
        keep_what_is_there()
        server.serve_forever()


def _kept(folder: Path) -> Kept:
    try:
        return Kept(folder)
    except (OSError, sqlite3.OperationalError) as error:
        if not is_refusal(error):
            raise
        sys.exit(told(folder, error))


if __name__ == "__main__":
    main()
