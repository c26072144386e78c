"""How many examples hypothesis draws for a property."""

import os


def examples(most: int) -> int:
    """That many; a few where a developer waits for the answer (`make test-fast`), and a third in the gate, which draws the same
    ones in every run: what its first third does not find, the others find in no run. `make test` draws anew, and all."""
    if os.environ.get("FLOWFORGE_TEST_FAST"):
        return max(2, most // 8)
    return max(2, most // 3) if os.environ.get("FLOWFORGE_TEST_PROFILE") == "ci" else most
