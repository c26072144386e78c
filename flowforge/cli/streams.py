"""The two streams of a process that people read: they take any text, whatever their encoding.

Guarantees: nothing ends because of what it wanted to print. Signs and lines that the encoding lacks become letters that look
like them, anything else (a name in another alphabet, half of a surrogate pair) is escaped as `\\u0416`. A process without
streams (closed by its caller) writes nowhere.
"""

import codecs
import os
import sys
from typing import TextIO

ERRORS = "flowforge.readable"
SIGNS = {
    "✔": "+",
    "✘": "x",
    "·": "-",
    "…": "...",
    "→": "->",
    "←": "<-",
    "↳": "->",
    "⇐": "<-",
    "\u2013": "-",
    "\u2014": "-",
    "\u2212": "-",
    "\u00d7": "x",
    "≤": "<=",
    "≥": ">=",
    "≠": "<>",
    "°": "o",
    "µ": "u",
    "“": '"',
    "”": '"',
    "„": '"',
    "\u2018": "'",
    "\u2019": "'",
    "\u00a0": " ",
    "•": "*",
    "●": "*",
    "○": "o",
    "▶": ">",
    "█": "#",
    "▏": "|",
}
SIGNS |= (
    dict.fromkeys("─━╌╍═╴╶╸╺", "-") | dict.fromkeys("│┃╎║", "|") | dict.fromkeys("┌┐└┘├┤┬┴┼╭╮╰╯╞╡╪╒╕╘╛┏┓┗┛┡┩╇╈┠┨", "+")
)
SIGNS |= dict(zip("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "|/-\\|/-\\|/", strict=True))  # a mark that turns


def open_streams() -> None:
    """Makes stdout and stderr of this process take any text; to be called once, before anything is printed."""
    codecs.register_error(ERRORS, _readable)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 (as long as the process)
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=ERRORS)


def lead_nowhere(stream: TextIO) -> None:
    """What is written to a stream of this process from here on, or waits to be, goes nowhere."""
    with open(os.devnull, "w", encoding="utf-8") as devnull:
        os.dup2(devnull.fileno(), stream.fileno())


def takes(text: str, stream: TextIO) -> bool:
    """Whether the stream's encoding has every letter of the text."""
    try:
        text.encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _readable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    encoding = error.encoding
    return "".join(_replaced(letter, encoding) for letter in lacking), error.end


def _replaced(letter: str, encoding: str) -> str:
    return SIGNS.get(letter) or letter.encode(encoding, errors="backslashreplace").decode(encoding)
