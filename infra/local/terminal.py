"""What the stack says on its terminal.

Guarantees: it goes on when nobody reads that any more (`flowforge up | head`), or where that goes has no room; the files under
`logs/` have every line.
"""

import os
import sys


def tell(line: str) -> None:
    """Prints a line, if that can be."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, sys.stdout.fileno())
        os.close(devnull)
    except OSError:  # a file's disk is full: it may take the next line
        return
