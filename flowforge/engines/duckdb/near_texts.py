"""Texts that some version of a collation takes for one key although not every version does: what `collations` keeps apart.

Two texts are near when they have one form here: NFKD where width does not count, else NFD; letters that count as two (ß is ss, æ
is ae); capitals of the full case folding, bare letters and katakana where case, accents and kana do not count; nothing for
characters that compare as if they were not there: format characters, and under collations below version 100 supplementary ones
and letters that these do not know. A code page's table has single letters only. Guarantees: pure; texts that are one key by
`folding` are near too. Near texts may well be two keys: only the server knows.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace

from flowforge.domain.source_columns import SourceColumn
from flowforge.engines.duckdb.collations import HIRAGANA, KANA_BY, Declared, declared
from flowforge.engines.duckdb.folding import TEXT, Fold, fold_of, is_unicode
from flowforge.engines.duckdb.sql import literal

BEYOND_ASCII = "[^ -~]"  # and control characters
TWO_LETTERS = {"ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "þ": "th", "Þ": "TH"}
STROKES = dict(zip("øØđĐłŁħĦŧŦ", "oOdDlLhHtT", strict=True))  # accents that Unicode does not take apart
WEIGHTLESS, WEIGHTY = ("Cc", "Cf", "Cn", "Co"), "\t\n\v\f\r"
UNKNOWN_TO_AGED = {*range(0x218, 0x250), *range(0x460, 0x490), *range(0x492, 0x530)}  # Latin, Cyrillic
MIXED = "regexp_matches({0}, '\\p{{Lu}}') AND regexp_matches({0}, '\\p{{Ll}}')"


@dataclass(frozen=True)
class Near:
    """How texts of one column may be taken for one: what its collation declares, and the form by which they surely are."""

    collation: str
    said: Declared
    sure: Fold

    def odd(self, value: str) -> str:
        """The condition for a text, given as an SQL expression, that may have a near one."""
        beyond = f"regexp_matches({value}, '{BEYOND_ASCII}')"
        return f"({beyond} OR ({MIXED.format(value)}))" if self.sure.found.one_case else beyond

    def characters(self, value: str) -> str:
        """The list of what `sql` wants to know of an odd text: its characters, and '' where it is near another all the same."""
        composed = f"nfc_normalize({value})"
        doubt = f"{composed} <> {value}"
        if self.sure.found.one_case:
            doubt = f"{doubt} OR ({MIXED.format(value)})"
        return f"regexp_extract_all({composed}, '{BEYOND_ASCII}') || CASE WHEN {doubt} THEN [''] ELSE [] END"

    def images(self, characters: Iterable[str]) -> dict[str, str]:
        """Of these characters, in the form in which texts are surely one: those that may be taken for others, and for what."""
        sure = self.sure.found.images()
        forms = {sure.get(character, character) for character in characters if character}
        found = {
            form: image_of(form, self.said) for form in sorted(forms) if not form.isascii() or not form.isprintable()
        }
        return {form: image for form, image in found.items() if image != form}

    def sql(self, value: str, images: dict[str, str]) -> str:
        """The form of a text of which these are the images."""
        whole = Fold(TEXT, replace(self.sure.found, one_case=False)).sql(f"nfc_normalize({value})")
        form = whole
        for character, image in images.items():
            if len(image) > 1:
                form = f"replace({form}, {literal(character)}, {literal(image)})"
        ones = {character: image for character, image in images.items() if len(image) == 1}
        gone = "".join(character for character, image in images.items() if not image)
        form = f"translate({form}, {literal(''.join(ones))}, {literal(''.join(ones.values()))})"
        nul = " || chr(0)" if "\0" in gone else ""
        gone = literal(gone.replace("\0", ""))
        form = f"rtrim(nfc_normalize(translate({form}, {gone}{nul}, '')), ' ')"
        return f"CASE WHEN regexp_matches({value}, '{BEYOND_ASCII}') THEN {form} ELSE {whole} END"


def near_of(column: SourceColumn) -> Near | None:
    """How texts of a column may be taken for one; None where there is no doubt."""
    fold = fold_of(column)
    if fold is None or fold.kind != TEXT:
        return None
    said = declared(column.collation, is_unicode(column))
    return Near(column.collation or "", said, fold) if said else None


def image_of(character: str, said: Declared) -> str:
    """What a character may be compared as."""
    if said.dotless and character == "\u0130":
        return character
    if said.by_table:
        bare = unicodedata.normalize("NFD", character)[0] if said.accents else character
        return bare.upper() if said.case and len(bare.upper()) == 1 else bare
    if _weightless(character, said):
        return ""
    parts = unicodedata.normalize("NFKD" if said.width else "NFD", character)
    text = "".join(TWO_LETTERS.get(part, part) for part in parts)
    if said.accents:
        text = "".join(STROKES.get(part, part) for part in text if not unicodedata.category(part).startswith("M"))
    if said.case:
        text = text.casefold().upper()
    if said.kana:
        text = "".join(chr(ord(part) + KANA_BY) if ord(part) in HIRAGANA else part for part in text)
    return unicodedata.normalize("NFC", text)


def _weightless(character: str, said: Declared) -> bool:
    if unicodedata.category(character) in WEIGHTLESS and character not in WEIGHTY:
        return True
    return said.aged and (ord(character) > 0xFFFF or ord(character) in UNKNOWN_TO_AGED)
