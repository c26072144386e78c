"""Texts of a workbook: shared ones, those of several runs, escaped characters."""

import re
from typing import IO

from flowforge.sources.files.excel_xml import Elements, characters

ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")  # ISO/IEC 29500-1, 22.9.2.19
ITEM = r'\s*<{0}si><{0}t(?: xml:space="preserve")?>([^<]*)</{0}t></{0}si>|([\s\S])'


class Runs:
    """A shared or inline text while its elements come: its runs joined, without phonetic hints."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._has_text = False  # of a run, whose first text counts

    def opened(self, path: list[str]) -> list[str] | None:
        """Where the text of an element goes. `path` is that below the whole text."""
        if path == ["r"]:
            self._has_text = False
        elif path == ["t"] or (path == ["r", "t"] and not self._has_text):
            self._has_text = len(path) == 2
            return self._parts
        return None

    def text(self) -> str:
        return "".join(self._parts)


class SharedTexts(Elements[str]):
    """The shared texts in their order. Raises ValueError for what no text is."""

    NAME, WITHIN = "si", "sst"

    def __init__(self, stream: IO[bytes], where: str):
        super().__init__(stream, where)
        self._runs = Runs()

    def _prepare(self, prefix: str) -> None:
        self._pattern = re.compile(ITEM.format(prefix))

    def _by_pattern(self, text: str) -> list[str] | None:
        found = self._pattern.findall(text)
        if any(other for _, other in found):
            return None
        return [meant(characters(one)) for one, _ in found]

    def _opened(self, path: list[str], attributes: dict[str, str]) -> list[str] | None:
        if len(path) > 1:
            return self._runs.opened(path[1:])
        self._runs = Runs()
        return None

    def _closed(self, path: list[str]) -> None:
        if len(path) == 1:
            self._found.append(meant(self._runs.text()))


def meant(text: str) -> str:
    """A text with its escaped characters, as `_x000D_`; raises ValueError for halves of surrogate pairs."""
    if "_x" not in text:
        return text
    found = ESCAPED.sub(lambda code: chr(int(code[1], 16)), text)
    return found.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
