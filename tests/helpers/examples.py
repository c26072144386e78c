"""How many examples hypothesis draws for a property."""

import os


def examples(most: int) -> int:
    """That many; a few where a developer waits for the answer (`make test-fast`)."""
    return max(2, most // 8) if os.environ.get("FLOWFORGE_TEST_FAST") else most
