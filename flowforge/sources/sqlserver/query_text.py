"""A request's `query`: one SELECT that changes nothing, taken apart so that it can stand inside another one.

T-SQL needs no semicolons: whatever reserved word begins a statement begins one anywhere. So a query is refused for such a word
outside quotation marks, brackets and comments, for a semicolon with something behind it, and for what changes or runs something
from within a SELECT: INTO, NEXT VALUE FOR, variables, text that another server is to run. Guarantees: nothing is guessed of a
text that does not end its quotes and comments; a query that passes here may still be refused by the server, which describes it.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from flowforge.domain.errors import QueryRefused
from flowforge.domain.given import given

# Reserved words that begin a statement, or that only a statement other than SELECT holds.
STATEMENTS = frozenset((
    "ALTER", "BACKUP", "BEGIN", "BREAK", "BULK", "CHECKPOINT", "CLOSE", "COMMIT", "CONTINUE", "CREATE", "CURSOR", "DBCC",
    "DEALLOCATE", "DECLARE", "DELETE", "DENY", "DROP", "DUMP", "EXEC", "EXECUTE", "GOTO", "GRANT", "IF", "INSERT", "INTO", "KILL",
    "LOAD", "MERGE", "OPEN", "PRINT", "PROC", "PROCEDURE", "RAISERROR", "READTEXT", "RECONFIGURE", "RESTORE", "RETURN", "REVERT",
    "REVOKE", "ROLLBACK", "SAVE", "SET", "SETUSER", "SHUTDOWN", "TRAN", "TRANSACTION", "TRIGGER", "TRUNCATE", "UPDATE",
    "UPDATETEXT", "USE", "WAITFOR", "WHILE", "WRITETEXT",
))  # fmt: skip
REMOTE = frozenset(("OPENQUERY", "OPENROWSET", "OPENDATASOURCE"))
HINTS = {"MERGE": ("JOIN", "UNION"), "USE": ("HINT", "PLAN")}  # what else these words may mean, by the word behind them
BEFORE_SELECT = ("(", "UNION", "EXCEPT", "INTERSECT", "ALL")
REMEDY = "give one SELECT (WITH is allowed) that only reads, or name a view"
_TOKEN = re.compile(
    r"""(?P<blank>\s+|--[^\n\r]*)|(?P<comment>/\*)|(?P<string>[nN]?'(?:[^']|'')*')|(?P<name>\[(?:[^\]]|\]\])*\]|"(?:[^"]|"")*")"""
    r"""|(?P<word>[^\W\d][\w@$#]*|[@#][\w@$#]*)|(?P<number>0[xX][0-9a-fA-F]*|\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)|(?P<sign>.)""",
    re.DOTALL,
)


class Token(NamedTuple):
    """A piece of T-SQL with its place and how many parentheses are open around it; words in upper case."""

    kind: str
    text: str
    start: int
    end: int
    depth: int


class QueryText(NamedTuple):
    """A query as it was written, and its parts: WITH and what it defines, the SELECT without ORDER BY, the OPTION behind."""

    written: str
    prefix: str
    body: str
    option: str


@lru_cache(maxsize=64)
def read_query(text: str) -> QueryText:
    """The parts of a query. Raises QueryRefused, with what is wrong with it, for all that is not one SELECT that reads."""
    tokens = list(tokens_of(text))
    while tokens and tokens[0].text == ";":
        tokens = tokens[1:]
    while tokens and tokens[-1].text == ";":
        tokens = tokens[:-1]
    if not tokens:
        raise QueryRefused("the query is empty", REMEDY)
    _refuse_statements(tokens)
    start = _main_select(tokens)
    _refuse_second(tokens, start)
    order, option = _tail(tokens, start)
    end = len(tokens)
    first_behind = min((at for at in (order, option) if at is not None), default=end)
    prefix = text[tokens[0].start : tokens[start].start] if start else ""
    return QueryText(
        text[tokens[0].start : tokens[-1].end],
        prefix,
        text[tokens[start].start : tokens[first_behind - 1].end],
        "" if option is None else text[tokens[option].start : tokens[-1].end],
    )


def tokens_of(text: str) -> Iterator[Token]:
    """The tokens of a query's text, in order, comments left out. Raises QueryRefused for what is opened and never closed."""
    at, depth = 0, 0
    while at < len(text):
        found = given(_TOKEN.match(text, at))
        kind, start, at = given(found.lastgroup), at, found.end()
        if kind == "comment":
            at = _end_of_comment(text, at)
        elif kind == "sign" and found[0] in "'\"[":
            what = {"'": "text", '"': "name", "[": "name"}[found[0]]
            raise QueryRefused(
                f"the query: a {what} that begins with {found[0]} at character {start + 1} never ends", REMEDY
            )
        elif kind != "blank":
            depth -= found[0] == ")"
            yield Token(kind, _upper(found[0]) if kind == "word" else found[0], start, at, depth)
            depth += found[0] == "("
            if depth < 0:
                raise QueryRefused(f"the query: a closing parenthesis too many at character {start + 1}", REMEDY)
    if depth:
        raise QueryRefused("the query: a parenthesis is never closed", REMEDY)


def _upper(word: str) -> str:
    return unicodedata.normalize("NFKC", word).upper()  # letters that only look otherwise count as what they look like


def _end_of_comment(text: str, at: int) -> int:
    """Comments nest in T-SQL."""
    start, open_ = at - 2, 1
    for mark in re.compile(r"/\*|\*/").finditer(text, at):
        open_ += 1 if mark[0] == "/*" else -1
        if not open_:
            return mark.end()
    raise QueryRefused(f"the query: a comment that begins at character {start + 1} never ends", REMEDY)


def _refuse_statements(tokens: list[Token]) -> None:
    first = tokens[0].text
    if first not in ("SELECT", "WITH", "("):
        raise QueryRefused(f"the query begins with {first[:40]}, not with SELECT", REMEDY)
    for n, token in enumerate(tokens):
        behind = tokens[n + 1].text if n + 1 < len(tokens) else ""
        if token.text == ";" and token.kind == "sign":
            raise QueryRefused(f"the query is more than one statement: {behind} follows a semicolon", REMEDY)
        if token.kind != "word" or behind in HINTS.get(token.text, ()):
            continue
        if token.text in STATEMENTS:
            raise QueryRefused(f"the query holds {token.text}, which no SELECT that only reads does", REMEDY)
        if token.text in REMOTE:
            raise QueryRefused(
                f"the query holds {token.text}: what it sends to another server cannot be judged here", REMEDY
            )
        if token.text == "NEXT" and behind == "VALUE":
            raise QueryRefused("the query holds NEXT VALUE FOR, which moves a sequence", REMEDY)
        if token.text.startswith("@") and not token.text.startswith("@@"):
            raise QueryRefused(
                f"the query holds the variable {token.text.lower()}: a query has none", "write the value itself"
            )


def _refuse_second(tokens: list[Token], start: int) -> None:
    """A SELECT begins a statement, too, where no parenthesis and no UNION stands before it."""
    for n in range(start + 1, len(tokens)):
        if tokens[n].kind == "word" and tokens[n].text == "SELECT" and _text(tokens, n - 1) not in BEFORE_SELECT:
            raise QueryRefused(f"the query holds a second SELECT, at character {tokens[n].start + 1}", REMEDY)


def _main_select(tokens: list[Token]) -> int:
    """Where the SELECT begins, behind what WITH defines: names, each with columns and a query in parentheses."""
    if tokens[0].text != "WITH":
        return 0
    at = 1
    while at < len(tokens):
        at += 1  # the name, or XMLNAMESPACES
        if _text(tokens, at) == "(":
            at = _behind_group(tokens, at)
        if _text(tokens, at) == "AS":
            at = _behind_group(tokens, at + 1)
        if _text(tokens, at) != ",":
            break
        at += 1
    if _text(tokens, at) not in ("SELECT", "("):
        raise QueryRefused("the query: no SELECT stands behind what WITH defines", REMEDY)
    return at


def _behind_group(tokens: list[Token], at: int) -> int:
    if _text(tokens, at) != "(":
        raise QueryRefused("the query: WITH needs a query in parentheses behind AS", REMEDY)
    depth = tokens[at].depth
    return next(n for n in range(at + 1, len(tokens)) if tokens[n].text == ")" and tokens[n].depth == depth) + 1


def _tail(tokens: list[Token], start: int) -> tuple[int | None, int | None]:
    """Where an ORDER BY stands that decides nothing but the order, and OPTION; None without.

    With TOP or OFFSET it decides which rows there are, and stays.
    """
    outer = [n for n in range(start, len(tokens)) if tokens[n].depth == 0 and tokens[n].kind == "word"]
    words = [tokens[n].text for n in outer]
    for n, word in zip(outer, words, strict=True):
        if word == "FOR" and _text(tokens, n + 1) in ("XML", "JSON", "BROWSE"):
            raise QueryRefused(f"the query ends with FOR {_text(tokens, n + 1)}: it gives one text and no rows", REMEDY)
    option = next((n for n in reversed(outer) if tokens[n].text == "OPTION" and _text(tokens, n + 1) == "("), None)
    ordered = [n for n in outer if tokens[n].text == "ORDER" and _text(tokens, n + 1) == "BY"]
    order = ordered[-1] if ordered and "TOP" not in words and "OFFSET" not in words else None
    return order, option


def _text(tokens: list[Token], at: int) -> str:
    return tokens[at].text if at < len(tokens) and tokens[at].kind in ("word", "sign") else ""
