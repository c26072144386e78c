"""Python's search for garbage in cycles, in processes that make much that stays: servers and tests.

Python looks after every 700 new objects, and now and then at all that there are. A fifth of what the tests took went there, for
imports and collected tests that never become garbage. Here what is there after the start is left out, and a search comes after
COLLECT_RARELY: some thousand objects wait for it, a few megabytes. What is in no cycle goes at once, as ever.
"""

import gc

COLLECT_RARELY = (10_000, 20, 20)


def keep_what_is_there() -> None:
    """Takes what this process holds now for what stays, and looks for garbage rarely from here on."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_RARELY)
