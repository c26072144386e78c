"""Users' SQL before it is parsed: bounded, and of characters that every reader takes alike.

Guarantees: pure. sqlglot judges a text and DuckDB runs it, so both must see the same words in it: a character that one of
them takes for a blank and the other for a letter (U+200B, U+FEFF, a no-break space) is refused outside strings, quoted names
and comments. Depth and length are bounded before the parser, whose stack and time they cost.
"""

import re
import unicodedata

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError
from sqlglot.tokenizer_core import Token

MOST_CHARACTERS = 256 * 1024
MOST_TOKENS = 20_000
MOST_LEVELS = 30  # of parentheses, brackets and CASE; sqlglot's parser ends at some forty
OPENING, CLOSING = ("(", "[", "{"), (")", "]", "}")
_COMMENT = re.compile(r"--[^\n\r]*|/\*.*?\*/", re.DOTALL)
_BLANKS = " \t\n\r"
_QUOTES = "'\"$"


class NotAllowed(ValueError):
    """The text is not one query over the lake's tables; the message says what is in the way, `line` where it is known, and
    `remedy`, where there is one of its own, what to write."""

    def __init__(self, message: str, line: int | None = None, remedy: str = ""):
        super().__init__(message)
        self.line = line
        self.remedy = remedy

    @property
    def with_remedy(self) -> str:
        """The message with its remedy, for places that have one text for both."""
        return f"{self}: {self.remedy}" if self.remedy else str(self)


def parse(sql: str) -> list[exp.Expr]:
    """The statements of a text in DuckDB's SQL. Raises NotAllowed with the line where the text is in the way of being read."""
    if len(sql) > MOST_CHARACTERS:
        raise NotAllowed(f"it is longer than {MOST_CHARACTERS // 1024} KiB")
    try:
        tokens = sqlglot.tokenize(sql, read="duckdb")
        _check_bounds(tokens)
        _check_characters(sql, tokens)
        return [statement for statement in sqlglot.parse(sql, dialect="duckdb") if statement is not None]
    except SqlglotError as error:
        line = error.errors[0].get("line") if isinstance(error, ParseError) and error.errors else None
        raise NotAllowed(f"it cannot be read as SQL: {str(error).splitlines()[0]}", line) from error
    except RecursionError:
        raise NotAllowed("it is nested too deep to be read: split it") from None


def _check_bounds(tokens: list[Token]) -> None:
    if len(tokens) > MOST_TOKENS:
        raise NotAllowed(f"it has more than {MOST_TOKENS:,} words")
    level = 0
    for token in tokens:
        opens = token.text in OPENING or token.text.upper() == "CASE"
        level += opens - (token.text in CLOSING or token.text.upper() == "END")
        if level > MOST_LEVELS:
            raise NotAllowed(f"it is nested deeper than {MOST_LEVELS} levels", token.line)


def _check_characters(sql: str, tokens: list[Token]) -> None:
    end = 0
    for token in tokens:
        between = _COMMENT.sub(" ", sql[end : token.start])
        _refuse(between.strip(_BLANKS)[:1], token.line)
        end = token.end + 1
        word = sql[token.start : end]
        if word[-1] not in _QUOTES:
            _refuse(next((c for c in word if not _is_plain(c)), ""), token.line)
    _refuse(_COMMENT.sub(" ", sql[end:]).strip(_BLANKS)[:1], None)


def _is_plain(character: str) -> bool:
    """Whether both readers take it for the same: printable ASCII, line ends, and other scripts' letters, marks and digits."""
    if character.isascii():
        return character.isprintable() or character in _BLANKS
    return unicodedata.category(character)[0] in "LMN"


def _refuse(character: str, line: int | None) -> None:
    if not character:
        return
    name = unicodedata.name(character, "a control character")
    raise NotAllowed(f"the character U+{ord(character):04X} ({name}) may stand in strings and quoted names only", line)
