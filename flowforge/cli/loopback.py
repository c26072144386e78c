"""This machine's own addresses are reached directly, whatever proxy the environment names: no proxy knows a local stack."""

import os

OWN = ("localhost", "127.0.0.1", "::1")
NAMES = ("no_proxy", "NO_PROXY")  # programs read one or the other, and most the first of the two


def reach_directly() -> None:
    """Adds this machine to what this process, and those that it starts, reach without a proxy."""
    given = next((os.environ[name] for name in NAMES if os.environ.get(name)), "")
    if given.strip() == "*":
        return
    known = [one.strip() for one in given.split(",") if one.strip()]
    told = ",".join([*known, *(one for one in OWN if one not in known)])
    os.environ.update(dict.fromkeys(NAMES, told))
