"""Hides from this process what is installed for others and is in no function's package: import it before anything else.

numpy is here for the SQL Server stand-in. pyarrow imports it where it is found, for 0.1 CPU s; on AWS it is not found. As a
module (`python -m infra.local.packaged HANDLER`) this is a function's process: AWS's own runtime client, so confined. Where the
function's folder has libraries of its own, as `infra.aws.build` makes it, it finds that folder and Python's own modules alone,
as on Lambda: what the package lacks is missing here, too.
"""

import logging
import os
import sys
import sysconfig
from pathlib import Path
from typing import Any

HIDDEN = ("numpy",)
OF_EACH_PACKAGE = "botocore"
SERVICE = "flowforge"  # of all its loggers

for name in HIDDEN:
    sys.modules[name] = None  # pyright: ignore[reportArgumentType] - documented: importing it raises ModuleNotFoundError


def keep_to_package(code: Path) -> None:
    """Leaves this process the modules of a package and of Python, where `code` is a package; those of the runtime client are
    loaded."""
    if not (code / OF_EACH_PACKAGE).is_dir():
        return
    own = Path(__file__).resolve().parents[2]
    installed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), str(own), ""}
    sys.path[:] = [str(code), *(place for place in sys.path if place not in installed)]
    sys.meta_path[:] = [finder for finder in sys.meta_path if "__editable__" not in getattr(finder, "__module__", "")]
    sys.path_importer_cache.clear()


def run() -> None:
    """Runs the handler that `sys.argv` names, event by event."""
    from awslambdaric import bootstrap
    from awslambdaric.lambda_runtime_client import LambdaRuntimeClient

    class Client(LambdaRuntimeClient):
        """AWS's own, whose errors of an import also go to an address with a path (`runtime_api`)."""

        def __init__(self, address: str) -> None:
            place, _, self._path = address.partition("/")
            super().__init__(place)

        def call_rapid(self, http_method: str, endpoint: str, *rest: Any, **named: Any) -> None:
            super().call_rapid(http_method, f"/{self._path}{endpoint}", *rest, **named)

    # A fork has its loggers before the runtime client has a handler, and each line would be written by both: on Lambda the logger
    # comes second, and keeps its lines from the handler.
    logging.getLogger(SERVICE).propagate = False
    keep_to_package(Path(os.environ.get("LAMBDA_TASK_ROOT", ".")))
    bootstrap.run(sys.argv[1], Client(os.environ["AWS_LAMBDA_RUNTIME_API"]))


if __name__ == "__main__":
    run()
