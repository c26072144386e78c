"""One thing that `flowforge doctor` has looked at."""

from dataclasses import dataclass
from typing import Literal

State = Literal["good", "warning", "bad"]


@dataclass(frozen=True)
class Finding:
    """What was found; `remedy` is empty where all is well, and only there."""

    what: str
    state: State
    finding: str
    remedy: str = ""
