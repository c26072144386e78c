"""Hides from this process what is installed for others and is in no function's package: import it before anything else.

numpy is here for the SQL Server stand-in. pyarrow imports it where it is found, for 0.1 CPU s; on AWS it is not found. As a
module (`python -m infra.local.packaged HANDLER`) this is a function's process: AWS's own runtime client, so confined.
"""

import sys

HIDDEN = ("numpy",)

for name in HIDDEN:
    sys.modules[name] = None  # pyright: ignore[reportArgumentType] - documented: importing it raises ModuleNotFoundError

if __name__ == "__main__":
    from awslambdaric.__main__ import main

    main(sys.argv)
