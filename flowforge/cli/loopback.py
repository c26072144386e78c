"""This machine's own addresses are reached directly, whatever proxy the environment names: no proxy knows a local stack."""

import os

OWN = ("localhost", "127.0.0.1", "::1")
NAMES = ("no_proxy", "NO_PROXY")  # programs read one or the other, and most the first of the two


def reach_directly() -> None:
    """Adds this machine to what this process, and those that it starts, reach without a proxy."""
    given = {name: os.environ.get(name, "") for name in NAMES}
    for name in NAMES:
        # Where one alone is set, programs that read the other one would lose what it says.
        told = given[name] or "".join(given.values())
        known = [one.strip() for one in told.split(",") if one.strip()]
        os.environ[name] = told if known == ["*"] else ",".join([*known, *(one for one in OWN if one not in known)])
