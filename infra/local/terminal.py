"""What the stack says on its terminal.

Guarantees: it goes on when nobody reads that any more (`flowforge up | head`), or where that goes has no room; the files under
`logs/` have every line.
"""

import sys

from flowforge.cli.streams import lead_nowhere


def tell(line: str) -> None:
    """Prints a line, if that can be."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        lead_nowhere(sys.stdout)
    except OSError:  # a file's disk is full: it may take the next line
        return
