"""What a collation's name says about equality: which texts SQL Server takes for one key, as far as that is sure.

The names are documented (Windows collation name, SQL Server collation name): CI or CS, AI or AS; KS and WS, or kana and width do
not count; BIN and BIN2 compare code points; whatever the collation, the shorter text is padded with blanks. Guarantees: pure, and
never less strict than the source. Only pairs of characters are taken for one of which every version of the collation has the same
opinion: no ß and ss, no final sigma, no Kelvin sign, nothing that an older version ignores, and accents of Latin1_General only
(ñ and ä are letters of their own elsewhere). Languages in which some letters together count as one (aa, ch, dz) compare aA
otherwise than AA: there a text counts without its case only where it is of one case.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Literal

CODE_PAGE_SORTED = re.compile(r"SQL_", re.IGNORECASE)  # these compare varchar by a table of its code page
LATIN_1 = re.compile(r"SQL_Latin1_General_(Pref_)?CP1_", re.IGNORECASE)
PLAIN_ACCENTS = re.compile(r"(SQL_)?Latin1_General_", re.IGNORECASE)
DOTLESS = re.compile(r"(Turkish|Azeri)_", re.IGNORECASE)  # i has a capital with a dot, and I a small letter without
# Designators whose languages have no letters of several characters; of any other this is not assumed.
SINGLE_LETTERS = re.compile(
    r"(SQL_)?(Latin1_General|French|German_PhoneBook|Finnish_Swedish|Swedish|SwedishStd|SwedishPhone|Cyrillic_General|CP1251|"
    r"Ukrainian|Greek|CP1253|Turkish|CP1254|Azeri_Latin|Azeri_Cyrillic|Hebrew|CP1255|Arabic|CP1256|Japanese\w*|Chinese\w*|"
    r"Korean\w*|Polish|Romanian|Estonian|Latvian|Lithuanian|Icelandic|Modern_Spanish|Thai|EBCDIC037|EBCDIC1141)_",
    re.IGNORECASE,
)
# Latin-1, Latin Extended-A, Greek, Cyrillic, Armenian: letters whose capital is one character of the same age.
LETTERS = (
    *range(0xE0, 0xFF), *range(0x100, 0x180), *range(0x3AC, 0x3CF), *range(0x430, 0x460), *range(0x561, 0x587)
)  # fmt: skip
UNSURE = "\u0131\u017f\u03c2"  # no dot, long s, final sigma
FULL_WIDTH, WIDE_BY = range(0xFF01, 0xFF5F), 0xFF01 - 0x21
HALF_WIDTH_KANA = (
    *range(0xFF66, 0xFF70),
    *range(0xFF71, 0xFF9E),
)  # without the marks, which change the kana before them
HIRAGANA, KANA_BY = range(0x3041, 0x3097), 0x60


@dataclass(frozen=True)
class Declared:
    """What a collation's name says does not count, whatever versions make of it: `case`, `accents`, `kana`, `width`. `by_table`:
    single characters are looked up in a code page's table; `aged`: of many characters it knows nothing (below version 100);
    `dotless`: the capital of i has a dot, and I is that of the letter without."""

    case: bool
    accents: bool
    kana: bool
    width: bool
    by_table: bool = False
    aged: bool = True
    dotless: bool = False


@dataclass(frozen=True)
class Sensitivity:
    """What does not count: `case` of which letters, `accents` of which, `kana`, `width`. `one_case`: case does count in texts
    that have both; `dotless`: the capital of i has a dot, and I is that of the letter without."""

    case: Literal["", "ascii", "latin1", "unicode"] = ""
    accents: Literal["", "latin1", "unicode"] = ""
    kana: bool = False
    width: bool = False
    one_case: bool = False
    dotless: bool = False

    @property
    def exact(self) -> bool:
        """Whether every character counts (but blanks at the end, which never do)."""
        return not (self.case or self.accents or self.kana or self.width)

    def images(self) -> dict[str, str]:
        """What stands for each character that does not stand for itself, when texts are compared."""
        return _images(self)


EVERYTHING = Sensitivity()
MOST_COMMON = Sensitivity("unicode", "", True, True)  # what _CI_AS means: SQL Server's own default


def declared(collation: str | None, unicode: bool) -> Declared | None:
    """What a collation's name says of nvarchar columns (`unicode`) or varchar columns; None where codes are compared, or nothing
    is known."""
    name = collation or ""
    parts = name.upper().split("_")
    if ("CI" not in parts and "CS" not in parts) or {"BIN", "BIN2"} & {*parts}:
        return None
    by_table = bool(CODE_PAGE_SORTED.match(name)) and not unicode
    return Declared(
        case="CI" in parts,
        accents="AI" in parts,
        kana="KS" not in parts and not by_table,
        width="WS" not in parts and not by_table,
        by_table=by_table,
        aged=not {"100", "140", "160"} & {*parts},
        dotless=bool(DOTLESS.match(name)) or "CP1254" in parts,
    )


def sensitivity(collation: str | None, unicode: bool) -> Sensitivity:
    """As far as it is sure, what counts in nvarchar columns (`unicode`) or varchar columns; of no name, everything does."""
    name, said = collation or "", declared(collation, unicode)
    if said is None:
        return EVERYTHING
    letters = ("latin1" if LATIN_1.match(name) else "ascii") if said.by_table else "unicode"
    accents = letters if said.accents and PLAIN_ACCENTS.match(name) and letters != "ascii" else ""
    return Sensitivity(
        case=letters if said.case else "",
        accents=accents,
        kana=said.kana,
        width=said.width,
        one_case=said.case and not SINGLE_LETTERS.match(name),
        dotless=said.dotless,
    )


@cache
def _images(found: Sensitivity) -> dict[str, str]:
    capitals = _capitals(found)
    plain = {**{chr(n): chr(n) for n in range(0x21, 0x7F)}, **capitals}
    images = dict(capitals)
    if found.width:
        images |= {chr(n): plain[chr(n - WIDE_BY)] for n in FULL_WIDTH}
        images |= {chr(n): unicodedata.normalize("NFKC", chr(n)) for n in HALF_WIDTH_KANA}
    if found.kana:
        images |= {chr(n): chr(n + KANA_BY) for n in HIRAGANA}
    if found.accents:
        letters = [*range(0xC0, 0x100), *(range(0x100, 0x180) if found.accents == "unicode" else ())]
        for letter in map(chr, letters):
            bare = unicodedata.normalize("NFD", letter)[0]
            if bare.isascii():
                images[letter] = images.get(bare, bare)
    return {character: image for character, image in images.items() if character != image}


def _capitals(found: Sensitivity) -> dict[str, str]:
    if not found.case:
        return {}
    capitals = {chr(n): chr(n - 32) for n in range(ord("a"), ord("z") + 1)}
    if found.dotless:
        capitals |= {"i": "\u0130", "\u0131": "I"}
    if found.case == "ascii":
        return capitals
    letters = [chr(n) for n in LETTERS if found.case == "unicode" or 0xE0 <= n < 0xFF]
    pairs = {letter: letter.upper() for letter in letters if letter not in UNSURE}
    capitals |= {low: up for low, up in pairs.items() if len(up) == 1 and up != low and up.lower() == low}
    return capitals | ({"ÿ": "Ÿ"} if found.case == "unicode" else {})
