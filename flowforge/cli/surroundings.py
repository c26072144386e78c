"""What the environment says that is not about FlowForge: modules of other projects, a proxy, the caller's account at AWS."""

import os
import sys
from pathlib import Path

OWN = ("localhost", "127.0.0.1", "::1")
NAMES = ("no_proxy", "NO_PROXY")  # programs read one or the other, and most the first of the two
ACCOUNT, BUNDLE = "AWS_", "AWS_CA_BUNDLE"
NO_ACCOUNT = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


def find_own_modules() -> None:
    """Puts the project's folder before those of PYTHONPATH, where another project may have modules named as ours: `events`."""
    root = str(Path(__file__).resolve().parents[2])
    if root not in sys.path:
        sys.path.insert(0, root)


def reach_directly() -> None:
    """Adds this machine to what this process, and those that it starts, reach without a proxy: no proxy knows a local stack."""
    given = {name: os.environ.get(name, "") for name in NAMES}
    for name in NAMES:
        # Where one alone is set, programs that read the other one would lose what it says.
        told = given[name] or "".join(given.values())
        known = [one.strip() for one in told.split(",") if one.strip()]
        os.environ[name] = told if known == ["*"] else ",".join([*known, *(one for one in OWN if one not in known)])


def authorities() -> dict[str, str]:
    """AWS_CA_BUNDLE, where it names a file, as it is for a process in another folder."""
    bundle = Path(os.environ.get(BUNDLE, ""))
    return {BUNDLE: str(bundle.absolute())} if bundle.is_file() else {}


def missing_bundle() -> str | None:
    """What AWS_CA_BUNDLE names where that is no file."""
    named = os.environ.get(BUNDLE, "")
    return named if named and not authorities() else None


def leave_account_out() -> None:
    """Takes the caller's account out of the environment of this process, and of those that it starts.

    Not its keys alone: a file of profiles, a service's own address or AWS_IGNORE_CONFIGURED_ENDPOINT_URLS would take calls
    elsewhere than to the local stack, or refuse them. What stays is about no account: how often a call is tried, and the
    authorities of another S3's certificate.
    """
    attempts, kept = os.environ.get("AWS_MAX_ATTEMPTS", ""), authorities()
    kept |= {"AWS_MAX_ATTEMPTS": attempts} if attempts.isdecimal() else {}
    for name in [one for one in os.environ if one.startswith(ACCOUNT)]:
        del os.environ[name]
    os.environ |= NO_ACCOUNT | kept
