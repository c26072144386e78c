"""How a command ends when it has no good answer: an exit code, a sentence, and what to do about it.

0    all good
1    the answer is a failure: a table failed, the source refused, nothing found, time is up
2    the request is wrong: usage, a file that cannot be read, a document with mistakes
3    the API cannot be reached: nobody answers at its address, or no local stack runs and no other API is named
4    a dry run found a difference
130  Ctrl-C
141  whoever read our output stopped reading
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowforge.domain.errors import FlowForgeError

GOOD = 0
FAILED = 1
BAD_REQUEST = 2
UNREACHABLE = 3
DIFFERS = 4
INTERRUPTED = 130
PIPE_CLOSED = 141


class Failure(Exception):
    """Ends the command with `exit_code`; `document()` is what `--json` prints in place of the answer.

    A `transient` one may be gone when the same question is asked again.
    """

    def __init__(
        self,
        message: str,
        remedy: str = "",
        *,
        error: str = "Failure",
        exit_code: int = FAILED,
        mistakes: list[dict[str, str]] | None = None,
        transient: bool = False,
    ):
        super().__init__(message)
        self.transient = transient
        self.message = message
        self.remedy = remedy
        self.error = error
        self.exit_code = exit_code
        self.mistakes = mistakes or []

    def document(self) -> dict[str, Any]:
        """The failure in the API's own error shape."""
        shown = {"error": self.error, "message": self.message, "remedy": self.remedy}
        return {**shown, "mistakes": self.mistakes} if self.mistakes else shown


def failure_of(error: "FlowForgeError") -> Failure:
    """An error on purpose as the failure of a command."""
    return Failure(str(error), error.remedy, error=type(error).__name__)


class BadRequest(Failure):
    """The user's command line or document is wrong; nothing was done."""

    def __init__(self, message: str, remedy: str = "", mistakes: list[dict[str, str]] | None = None):
        super().__init__(message, remedy, error="InvalidRequest", exit_code=BAD_REQUEST, mistakes=mistakes)
