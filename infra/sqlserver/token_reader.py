"""Walks over the tokens of one statement: accept what may come, expect what must."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlglot.tokenizer_core import Token

from .dialect import LITERALS, is_symbol, is_word
from .errors import SqlError, syntax_error
from .types import LATER, SqlType, parse_type

if TYPE_CHECKING:
    from .script import Simple


class TokenReader:
    """Walks over the tokens of one statement."""

    def __init__(self, statement: Simple):
        self._sql_start = statement.tokens[0].start
        self._text, self._tokens, self._at = statement.text, statement.tokens, 0

    def peek(self, ahead: int = 0) -> Token | None:
        """The token so many ahead; None beyond the end."""
        index = self._at + ahead
        return self._tokens[index] if index < len(self._tokens) else None

    def at_end(self) -> bool:
        """Whether every token is read."""
        return self._at >= len(self._tokens)

    def accept(self, *words: str) -> bool:
        """Consumes these words if they come next, all of them."""
        if all((token := self.peek(i)) is not None and is_word(token, word) for i, word in enumerate(words)):
            self._at += len(words)
            return True
        return False

    def accept_any(self, *words: str) -> str | None:
        """Reads one of the words, if it comes next, and returns it in capitals; None where none does."""
        token = self.peek()
        if token is not None and is_word(token, *words):
            self._at += 1
            return token.text.upper()
        return None

    def accept_symbol(self, symbol: str) -> bool:
        """Reads the symbol, if it comes next; whether it did."""
        if is_symbol(self.peek(), symbol):
            self._at += 1
            return True
        return False

    def expect(self, *words: str) -> None:
        """Reads these words. Raises SqlError 102 where others come."""
        if not self.accept(*words):
            raise self.unexpected()

    def expect_symbol(self, symbol: str) -> None:
        """Reads this symbol. Raises SqlError 102 where another comes."""
        if not self.accept_symbol(symbol):
            raise self.unexpected()

    def unexpected(self) -> SqlError:
        """The error for the token that comes next, or for the end."""
        token = self.peek()
        return syntax_error(token.text if token else self._tokens[-1].text)

    def name(self) -> str:
        """Reads a name, quoted or not. Raises SqlError 102 where none comes."""
        token = self.peek()
        if token is None or token.token_type in LITERALS or is_symbol(token, "(", ")", ".", ",", ";", "="):
            raise self.unexpected()
        self._at += 1
        return token.text

    def literal(self) -> str:
        """A quoted text."""
        token = self.peek()
        if token is None or token.token_type not in LITERALS:
            raise self.unexpected()
        self._at += 1
        return token.text

    def until_comma(self) -> str:
        """The text up to the next comma outside parentheses, or to the end."""
        mark, depth = self._at, 0
        while self.peek() is not None and (depth or not is_symbol(self.peek(), ",")):
            depth += is_symbol(self.peek(), "(") - is_symbol(self.peek(), ")")
            self._at += 1
        if self._at == mark:
            raise self.unexpected()
        return self.text_since(mark)

    def qualified_name(self) -> list[str]:
        """A name with up to three parts; an empty middle part means dbo."""
        parts = [self.name()]
        while self.accept_symbol("."):
            token = self.peek()
            parts.append("dbo" if is_symbol(token, ".") else self.name())
        return parts

    def name_list(self) -> list[str]:
        """`(a, b DESC, ...)`."""
        self.expect_symbol("(")
        names = [self.name()]
        self.accept_any("ASC", "DESC")
        while self.accept_symbol(","):
            names.append(self.name())
            self.accept_any("ASC", "DESC")
        self.expect_symbol(")")
        return names

    def opens(self) -> bool:
        """Whether a group in parentheses comes next."""
        return is_symbol(self.peek(), "(")

    def skip_parentheses(self) -> None:
        """Skips one balanced group, if one comes next."""
        if not self.accept_symbol("("):
            return
        depth = 1
        while depth:
            token = self.peek()
            if token is None:
                raise self.unexpected()
            depth += is_symbol(token, "(") - is_symbol(token, ")")
            self._at += 1

    def text_since(self, mark: int) -> str:
        """The text from the token at `mark` to the one that was read last."""
        first, last = self._tokens[mark], self._tokens[self._at - 1]
        return self._text[first.start - self._sql_start : last.end + 1 - self._sql_start]

    def mark(self) -> int:
        """Where the reader stands, for `text_since`."""
        return self._at

    def rest(self) -> str:
        """Reads to the end; the text of that."""
        mark, self._at = self._at, len(self._tokens)
        return self.text_since(mark)

    def sql_type(self, release: int = 2022) -> SqlType:
        """A data type with its arguments, of those that a release has."""
        mark = self._at
        parts = self.qualified_name()
        if parts[-1].upper() == "DOUBLE":
            self.accept("PRECISION")
        self.skip_parentheses()
        text = re.sub(r"^\[?sys\]?\.", "", self.text_since(mark), flags=re.IGNORECASE)
        try:
            found = parse_type(text)
            if LATER.get(found.base, 0) <= release:
                return found
            raise ValueError(text)
        except ValueError:
            raise SqlError(2715, f"Cannot find data type {parts[-1]}.") from None

    def default_text(self) -> str:
        """The expression of a DEFAULT: a parenthesised one, a literal, or a function call."""
        mark = self._at
        if is_symbol(self.peek(), "("):
            self.skip_parentheses()
        else:
            self.accept_symbol("-")
            self._at += 1
            self.skip_parentheses()
        return self.text_since(mark)
