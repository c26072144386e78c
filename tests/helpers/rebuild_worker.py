"""A process that makes the silver table argv[2] of bucket argv[1] anew and puts it in place."""

import sys

from flowforge.operations.rebuild_silver import rebuild_silver

if __name__ == "__main__":
    rebuild_silver(sys.argv[1], sys.argv[2], write=True, rows_per_range=100)
