"""A T-SQL batch as statements: T-SQL needs no semicolons, so the text is cut by its keywords.

The result is a small tree: simple statements keep their text, IF, WHILE and BEGIN ... END their structure. What a
statement means is decided elsewhere; here only where it starts and ends.
"""

from dataclasses import dataclass, field
from functools import lru_cache

from sqlglot.tokenizer_core import Token, TokenType

from .dialect import KEPT_TEXTS, LONGEST_KEPT, is_word, tokenize
from .errors import not_supported, syntax_error

_STARTERS = {
    "SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "DECLARE", "SET", "EXEC", "EXECUTE", "BEGIN", "COMMIT", "ROLLBACK",
    "SAVE", "IF", "WHILE", "PRINT", "CREATE", "DROP", "ALTER", "TRUNCATE", "USE", "RAISERROR", "THROW", "RETURN",
    "WAITFOR", "KILL", "DBCC", "GRANT", "REVOKE", "DENY", "ELSE", "END", "BREAK", "CONTINUE",
}  # fmt: skip


@dataclass(frozen=True)
class Simple:
    """One statement: its text and tokens."""

    text: str
    tokens: list[Token] = field(repr=False)

    @property
    def keyword(self) -> str:
        return self.tokens[0].text.upper()

    def word(self, index: int) -> str:
        return self.tokens[index].text.upper() if index < len(self.tokens) else ""


@dataclass(frozen=True)
class Block:
    statements: list


@dataclass(frozen=True)
class If:
    condition: str
    then: object
    otherwise: object | None


@dataclass(frozen=True)
class While:
    condition: str
    body: object


def parse_batch(sql: str) -> list:
    """The statements of a batch, which nobody changes. Raises SqlError 102 or 156 for structure that cannot be read."""
    return _remembered(sql) if len(sql) <= LONGEST_KEPT else _split(sql)


def _split(sql: str) -> list:
    return _Splitter(sql).statements()


_remembered = lru_cache(KEPT_TEXTS)(_split)


class _Splitter:
    def __init__(self, sql: str):
        self._sql, self._tokens, self._at = sql, tokenize(sql), 0

    def _peek(self, ahead: int = 0) -> Token | None:
        index = self._at + ahead
        return self._tokens[index] if index < len(self._tokens) else None

    def _is(self, *words: str, ahead: int = 0) -> bool:
        token = self._peek(ahead)
        return token is not None and is_word(token, *words)

    def statements(self, until_end: bool = False) -> list:
        found = []
        while self._at < len(self._tokens):
            if self._tokens[self._at].token_type == TokenType.SEMICOLON:
                self._at += 1
            elif self._is("END"):
                if not until_end:
                    raise syntax_error("END")
                return found
            else:
                found.append(self._statement())
        if until_end:
            raise syntax_error("BEGIN")
        return found

    def _statement(self):
        if self._is("BEGIN") and not self._is("TRAN", "TRANSACTION", "DISTRIBUTED", ahead=1):
            return self._block()
        if self._is("IF"):
            return self._if()
        if self._is("WHILE"):
            self._at += 1
            return While(self._condition(), self._statement())
        return self._simple()

    def _block(self) -> Block:
        if self._is("TRY", "CATCH", ahead=1):
            raise not_supported("TRY ... CATCH")
        self._at += 1
        inner = self.statements(until_end=True)
        self._at += 1
        return Block(inner)

    def _if(self) -> If:
        self._at += 1
        condition, then, otherwise = self._condition(), self._statement(), None
        mark = self._at
        while (token := self._peek()) is not None and token.token_type == TokenType.SEMICOLON:
            self._at += 1
        if self._is("ELSE"):
            self._at += 1
            otherwise = self._statement()
        else:
            self._at = mark
        return If(condition, then, otherwise)

    def _condition(self) -> str:
        start = self._at
        self._skip(lambda first: self._is(*_STARTERS) and self._at > start)
        if self._at == start:
            raise syntax_error("IF")
        return self._text(start)

    def _simple(self) -> Simple:
        start, token = self._at, self._peek()
        if token is None:  # an IF or ELSE with nothing behind it
            raise syntax_error(self._tokens[-1].text)
        state = {"main_seen": not self._is("WITH", "INSERT"), "first": token.text.upper()}
        self._skip(lambda first: self._at > start and self._starts_new(state))
        return Simple(self._text(start), self._tokens[start : self._at])

    def _skip(self, ends) -> None:
        """Advances to the end of a statement: a semicolon, the batch's end, or what `ends` says, outside parentheses."""
        depth = cases = 0
        first = self._at
        while (token := self._peek()) is not None:
            if depth == 0 and token.token_type == TokenType.SEMICOLON:
                return
            if token.token_type == TokenType.L_PAREN:
                depth += 1
            elif token.token_type == TokenType.R_PAREN:
                depth -= 1
            elif is_word(token, "CASE"):
                cases += 1
            elif cases and is_word(token, "END"):
                cases -= 1
            elif depth == 0 and not cases and ends(first):
                return
            self._at += 1

    def _starts_new(self, state: dict) -> bool:
        """Whether the current token begins another statement, given the one being read."""
        token = self._peek()
        if token is None or not is_word(token, *_STARTERS):
            return False
        word, first = token.text.upper(), state["first"]
        previous = self._tokens[self._at - 1].text.upper()
        if first == "MERGE" or (first == "CREATE" and state.get("body")):
            return False
        if word == "RETURN" and first == "CREATE":  # of an inline function
            state["body"] = True
            return False
        if word in ("SELECT", "INSERT", "UPDATE", "DELETE", "EXEC", "EXECUTE"):
            return self._query_starts(state, word, previous)
        if word == "SET":
            continues = first in ("UPDATE", "ALTER") or previous in ("DELETE", "UPDATE") or state.get("update")
            if first == "UPDATE" or state.get("update"):
                state["first"], state["update"] = "UPDATED", False
            return not continues
        if word == "IF":
            return not self._is("EXISTS", ahead=1) or previous not in (
                "TABLE",
                "VIEW",
                "SCHEMA",
                "COLUMN",
                "CONSTRAINT",
                "INDEX",
            )
        if word in ("DROP", "ALTER"):
            return first != "ALTER"
        return True

    def _query_starts(self, state: dict, word: str, previous: str) -> bool:
        if (previous == "ON" and word in ("UPDATE", "DELETE")) or (
            word == "SELECT" and previous in ("UNION", "ALL", "EXCEPT", "INTERSECT")
        ):
            return False
        if state["first"] == "CREATE" and previous == "AS":
            state["body"] = True
            return False
        if not state["main_seen"]:
            state["main_seen"] = word != "INSERT"
            state["update"] = word == "UPDATE"
            return False
        return True

    def _text(self, start: int) -> str:
        return self._sql[self._tokens[start].start : self._tokens[self._at - 1].end + 1]
