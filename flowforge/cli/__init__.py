"""FlowForge's command line: what a user does with a running FlowForge, local or deployed.

It speaks to the HTTP API only, so the same commands serve a laptop and an AWS account; `sql` alone reads the lake itself,
with the caller's own S3 credentials. Answers go to stdout, messages to stderr; with `--json` stdout holds one JSON document
and nothing else, errors included. Exit codes are in `flowforge.cli.failure`.
"""

import sys


def main(arguments: list[str] | None = None) -> None:
    """Runs one command and exits with its code; `arguments` default to the process's own."""
    from flowforge.cli.streams import open_streams
    from flowforge.cli.surroundings import find_own_modules, reach_directly

    find_own_modules()
    open_streams()
    reach_directly()
    from flowforge.cli.app import run

    sys.exit(run(sys.argv[1:] if arguments is None else arguments))
