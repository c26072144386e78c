"""Slugs of names."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowforge.sources.files.column_names import slug

KNOWN = {
    "Kunde Nr.": "kunde_nr",
    "KundeNr": "kundenr",
    "Straße": "strasse",
    "STRASSE": "strasse",
    "Größe (m²)": "grosse_m2",
    "  __id__ ": "id",
    "2024": "_2024",
    "Łódź/Ærø": "lodz_aero",
    "İl": "il",
    "address.city": "address_city",
    "日本": "",
    "€": "",
}


@pytest.mark.parametrize(("text", "expected"), KNOWN.items())
def test_should_make_a_slug_of_a_name(text, expected):
    assert slug(text) == expected


@given(st.text())
def test_should_leave_small_letters_digits_and_single_underscores_of_any_text(text):
    found = slug(text)
    assert re.fullmatch(r"(?:[a-z]|_[0-9])[a-z0-9]*(?:_[a-z0-9]+)*|", found)
    assert slug(found) == found
