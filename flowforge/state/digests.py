"""Digests of a few rows, whatever order they come in: `count:hex`, where hex is the sum of a SHA-256 of each row.

Two lots of rows have the same digest only if they hold the same rows equally often. An empty digest stands for rows that nobody
has looked at, and makes every sum with it empty.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

_MODULUS = 2**256


def digest_of(rows: Iterable[Sequence[Any]]) -> str:
    """The digest of rows of plain values, whose `repr` tells them apart."""
    hashes = [int.from_bytes(hashlib.sha256(repr(row).encode("utf-8", "surrogatepass")).digest()) for row in rows]
    return _text(len(hashes), sum(hashes))


def joined(digests: Sequence[str]) -> str:
    """The digest of all the rows of several; empty when one of them is, or there is none."""
    if not digests or not all(digests):
        return ""
    parts = [digest.split(":") for digest in digests]
    return _text(sum(int(count) for count, _ in parts), sum(int(value, 16) for _, value in parts))


def _text(count: int, total: int) -> str:
    return f"{count}:{total % _MODULUS:064x}"
