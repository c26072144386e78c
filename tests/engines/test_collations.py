"""Texts are one key where every version of a collation says so, and never where one might not."""

import duckdb
import pytest

from flowforge.domain.given import given
from flowforge.domain.source_columns import SourceColumn
from flowforge.engines.duckdb.folding import fold_of
from flowforge.engines.duckdb.near_texts import near_of

# ruff: noqa: RUF001 - letters that look alike are what this is about


def same(collation: str | None, one: str, other: str, sql_type: str = "nvarchar(50)") -> bool:
    """Whether silver takes two texts of a column for one key."""
    fold = fold_of(SourceColumn(name="c", sql_type=sql_type, collation=collation))
    with duckdb.connect() as connection:
        forms = [
            connection.execute(f"SELECT {given(fold).sql('x')} FROM (SELECT ? AS x)", [text]).fetchone()
            for text in (one, other)
        ]
    return forms[0] == forms[1]


def near(collation: str | None, one: str, other: str, sql_type: str = "nvarchar(50)") -> bool:
    """Whether one version of the collation may take for one key what another does not."""
    found = near_of(SourceColumn(name="c", sql_type=sql_type, collation=collation))
    if found is None:
        return False
    with duckdb.connect() as connection:
        texts = "(SELECT unnest([?, ?]) AS x)"
        asked = f"SELECT DISTINCT unnest({found.characters('x')}) FROM {texts}"
        images = found.images(c for (c,) in connection.execute(asked, [one, other]).fetchall())
        forms = connection.execute(f"SELECT {found.sql('x', images)} FROM {texts}", [one, other]).fetchall()
    return forms[0] == forms[1]


BY_LANGUAGE = [
    ("SQL_Latin1_General_CP1_CI_AS", "Müller", "MÜLLER  "),
    ("Latin1_General_100_CI_AS_SC_UTF8", "ǣ-Ωмя", "ǣ-ωМЯ"),
    ("Latin1_General_CI_AS", "ＡＢＣ", "abc"),
    ("Japanese_CI_AS", "アｲ", "あイ"),
    ("Latin1_General_CI_AI", "Élan ñ", "elan N"),
    ("Latin1_General_CS_AI", "é", "e"),
    ("Turkish_CI_AS", "ILIK", "ılık"),
    ("Turkish_100_CI_AS", "İZMİR", "izmir"),
    ("Danish_Norwegian_CI_AS", "AALBORG", "aalborg"),
    ("Danish_Norwegian_CI_AS", "aA", "aA "),
]
BY_CODE = [("Latin1_General_BIN2", "abc", "abc "), (None, "abc", "abc   ")]


@pytest.mark.parametrize(("collation", "one", "other"), BY_LANGUAGE + BY_CODE)
def test_should_take_for_one_key_what_the_collation_takes_for_one(collation, one, other):
    assert same(collation, one, other)


@pytest.mark.parametrize(
    ("collation", "one", "other"),
    [
        ("Latin1_General_100_CS_AS", "abc", "ABC"),
        ("Latin1_General_BIN", "a", "A"),
        (None, "abc", "ABC"),
        ("Latin1_General_CI_AS", "é", "e"),
        ("Latin1_General_CI_AS_KS", "ア", "あ"),
        ("Latin1_General_CI_AS_WS", "Ａ", "A"),
        ("Finnish_Swedish_CI_AI", "ä", "a"),  # a letter of its own
        ("Modern_Spanish_CI_AI", "ñ", "n"),
        ("Turkish_CI_AS", "I", "i"),
        ("Latin1_General_CI_AS", "ı", "I"),
        ("Danish_Norwegian_CI_AS", "aA", "aa"),  # two letters, and one
        ("Hungarian_CI_AS", "cS", "cs"),
        ("Latin1_General_CI_AS", "ß", "ss"),
        ("Greek_CI_AS", "ς", "σ"),
        ("Latin1_General_CI_AS", "\u212a", "k"),  # the Kelvin sign
        ("Latin1_General_CI_AS", "a\u00ad", "a"),
        ("Latin1_General_CI_AS", "\U00010400", "\U00010428"),
        ("Latin1_General_CI_AS", "ǹ", "Ǹ"),  # older versions do not know them
        ("Latin1_General_CI_AS", "abc", " abc"),
        ("Latin1_General_CI_AS", "abc", "abc\u3000"),
        ("Latin1_General_CI_AS", "abc", "abc\t"),
    ],
)
def test_should_not_take_for_one_key_what_a_collation_may_tell_apart(collation, one, other):
    assert not same(collation, one, other)


def test_should_know_of_a_code_pages_own_table_no_more_than_its_letters():
    table = "SQL_Latin1_General_CP1_CI_AS"
    assert same(table, "É", "é", "varchar(10)")
    assert not same(table, "Š", "š", "varchar(10)")
    assert same(table, "Š", "š", "nvarchar(10)")
    assert not same("SQL_Latin1_General_CP437_CI_AS", "É", "é", "varchar(10)")


def test_should_leave_a_key_that_is_in_its_form_as_it_is():
    fold = fold_of(SourceColumn(name="c", sql_type="nvarchar(50)", collation="SQL_Latin1_General_CP1_CI_AS"))
    with duckdb.connect() as connection:
        for text in ("DE89 3704", "", "ÄÖÜ", "顧客"):
            assert connection.execute(f"SELECT {given(fold).sql('x')} FROM (SELECT ? AS x)", [text]).fetchone() == (
                text,
            )


@pytest.mark.parametrize(
    ("collation", "one", "other"),
    [
        *BY_LANGUAGE,
        ("Latin1_General_CI_AS", "Straße", "STRASSE"),
        ("SQL_Latin1_General_CP1_CI_AS", "straße", "Strasse"),
        ("Latin1_General_100_CS_AS", "Straße", "Strasse"),
        ("Danish_Norwegian_CI_AS", "aA", "AA"),
        ("Greek_CI_AS", "ΛΌΓΟς", "ΛΌΓΟΣ"),
        ("Latin1_General_CI_AS", "\u212a1", "k1"),
        ("Latin1_General_CI_AS", "m²", "M2"),
        ("Latin1_General_CI_AS", "Șc", "C"),  # a letter that the first versions do not know
        ("Latin1_General_CI_AS", "a\u00ad", "a"),
        ("Latin1_General_CI_AS", "a\0", "A"),
        ("Latin1_General_CI_AS", "a\U0001f63c", "a"),
        ("Latin1_General_CI_AS", "e\u0301", "É"),
        ("Latin1_General_CI_AS", "abc", "abc\u3000"),
        ("Latin1_General_100_CI_AS", "\U00010400", "\U00010428"),
        ("Finnish_Swedish_CI_AI", "Åsa", "asa"),
        ("Vietnamese_100_CI_AI", "Đặng", "dang"),
        ("Japanese_CI_AS", "ｶﾞ", "が"),
    ],
)
def test_should_find_what_a_version_of_the_collation_may_take_for_one(collation, one, other):
    assert near(collation, one, other)


@pytest.mark.parametrize(
    ("collation", "one", "other"),
    [
        ("Latin1_General_BIN2", "Straße", "Strasse"),
        (None, "Straße", "Strasse"),
        ("Latin1_General_CS_AS", "Straße", "strasse"),
        ("Latin1_General_CI_AS", "élan", "elan"),
        ("Latin1_General_CI_AS_WS", "m²", "m2"),
        ("Latin1_General_CI_AS_KS", "ア", "あ"),
        ("Turkish_CI_AI", "I", "i"),
        ("Latin1_General_100_CI_AS", "Șc", "C"),
        ("Latin1_General_100_CI_AS", "a\U0001f63c", "a\U0001f63d"),
        ("Latin1_General_CI_AS", "co-op", "coop"),
        ("Latin1_General_CI_AS", "ä", "ae"),
    ],
)
def test_should_not_doubt_what_every_version_tells_apart(collation, one, other):
    assert not near(collation, one, other)


def test_should_doubt_of_a_code_page_only_the_case_and_accents_of_its_letters():
    table = "SQL_Latin1_General_CP1_CI_AS"
    assert near(table, "Š", "š", "varchar(10)")
    assert near("SQL_Latin1_General_CP437_CI_AI", "É", "e", "varchar(10)")
    assert not near(table, "Straße", "Strasse", "varchar(10)")
