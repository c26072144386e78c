"""A request's headers are read as Python's own server reads them, whatever a client sends."""

import http.client
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.local.kept_connections import read_headers

PARTS = [
    b"A",
    b"host",
    b"X-Amz-Meta-a_b",
    b":",
    b" ",
    b"\t",
    b"\r",
    b"\n",
    b"\r\n",
    b"value",
    b"\xe9",
    b"\x85",
    b"\xa0",
    b"\x0b",
    b"\x00",
]


@given(st.lists(st.sampled_from(PARTS), max_size=24).map(b"".join))
def test_should_read_headers_as_pythons_server_does(sent):
    read, known = BytesIO(sent + b"\r\n\r\nbody"), BytesIO(sent + b"\r\n\r\nbody")
    found, expected = read_headers(read), http.client.parse_headers(known)
    assert (found.items(), read.tell()) == (expected.items(), known.tell())
    assert [found.get(name) for name in expected] == [expected.get(name) for name in expected]


@pytest.mark.parametrize(
    "sent", [b"A: " + b"b" * 70_000 + b"\r\n\r\n", b"A: b\r\n" * 200 + b"\r\n"], ids=["long", "many"]
)
def test_should_refuse_what_pythons_server_refuses(sent):
    with pytest.raises(http.client.HTTPException):
        read_headers(BytesIO(sent))
