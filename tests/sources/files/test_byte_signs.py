"""Line ends and quotes of a text, told by comparisons, are those that one finds byte by byte."""

import re

from hypothesis import example, given, settings
from hypothesis import strategies as st

from flowforge.sources.files.byte_signs import are_quotes_clean, has_lone_cr, lines_of

SIGNS = [b"\r", b"\n", b"\r\n", b'"', b",", b"\t", b"\x00", b"a", b"\xff"]
TEXTS = st.lists(st.sampled_from(SIGNS), max_size=40).map(b"".join)
FIELD = re.compile(rb'"(?:[^"]|"")*"|[^",\r\n]*')


@settings(max_examples=400, deadline=None)
@example(b"")
@example(b"a\r")
@example(b"\r\n\r")
@example(b"a\r\n\tb\n")
@given(TEXTS)
def test_should_count_lines_where_no_cr_ends_one_by_itself(text: bytes):
    is_lone = re.search(rb"\r(?!\n)", text) is not None
    assert lines_of(text) == (None if is_lone else text.count(b"\n"))
    assert has_lone_cr(text) is is_lone


@settings(max_examples=400, deadline=None)
@given(TEXTS.filter(lambda text: re.search(rb"\r(?!\n)", text) is None))
def test_should_find_fields_quoted_from_end_to_end_or_not_at_all(text: bytes):
    place = 0
    while place <= len(text):
        place = FIELD.match(text, place).end()  # pyright: ignore[reportOptionalMemberAccess] - it takes nothing, too
        end = re.compile(rb",|\r?\n").match(text, place)
        if end is None:
            break
        place = end.end()
    assert are_quotes_clean(text, b",", b'"') is (place == len(text))
