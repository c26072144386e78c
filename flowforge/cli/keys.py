"""The keys of a local stack: whoever has them may use it, and nobody else of the machine.

They lie in `keys.json` in the stack's state folder, or in its `--data-dir`, for the owner's eyes only. They are made at the first
start and kept for the next ones; `stack.json` tells the running stack's. Delete the file for new ones.
"""

import json
import secrets
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from flowforge.cli import private_files

FILE_NAME = "keys.json"
TOKEN_VARIABLE = "FLOWFORGE_TOKEN"  # noqa: S105  for an API of a stack that is not found by its folder


@dataclass(frozen=True)
class Keys:
    """The token is for the stack's API and `/_local/`, the key pair for its embedded AWS."""

    token: str = field(default_factory=secrets.token_urlsafe, repr=False)
    aws_access_key_id: str = field(default_factory=lambda: f"FF{secrets.token_hex(9).upper()}", repr=False)
    aws_secret_access_key: str = field(default_factory=secrets.token_urlsafe, repr=False)

    @property
    def aws(self) -> dict[str, str]:
        """The key pair by the names that boto3 has for it."""
        return {"aws_access_key_id": self.aws_access_key_id, "aws_secret_access_key": self.aws_secret_access_key}


def keys_in(folder: Path) -> Keys:
    """The keys that a folder keeps; new ones, which it keeps from now on, where it has none or others could read them."""
    path = folder / FILE_NAME
    kept = _read(path)
    keys = Keys(**kept)
    if asdict(keys) != kept:
        private_files.write(path, json.dumps(asdict(keys), indent=2) + "\n")
    return keys


def _read(path: Path) -> dict[str, Any]:
    if not private_files.closed(path):
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    known = {one.name for one in fields(Keys)}
    return {name: value for name, value in found.items() if name in known and value and isinstance(value, str)}


def bearer(token: str) -> dict[str, str]:
    """The header that shows a token."""
    return {"Authorization": f"Bearer {token}"}
