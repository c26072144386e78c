"""In how many slices a large file would be read, by its size, its name and its contract: for people, before anything is read."""

import math

from events.files import FileContract
from flowforge.domain.errors import UnsupportedSource
from flowforge.domain.file_version import FileVersion
from flowforge.runtime.settings import settings
from flowforge.sources.files.container import ENDINGS
from flowforge.sources.files.framing import codec_of
from flowforge.sources.files.records import IN_PARTS

MOST_SLICES = 200  # of a batch, whose record holds all of them


def bytes_of_a_slice(size: int) -> int:
    """How large each slice of a file of that size is to be, about."""
    return max(settings().slice_bytes, size // MOST_SLICES)


def why_at_once(contract: FileContract) -> str:
    """Why no file of a contract is read in slices, in words; empty where one can be."""
    if contract.format not in IN_PARTS:
        return f"{contract.format} is not read from its middle"
    if contract.types == "inferred" and not contract.columns:
        return "its columns are taken from all of it"
    if contract.format == "ndjson" and (not contract.columns or contract.unknown_columns == "add"):
        return "each of its records may bring a column"
    return ""


def expected_slices(contract: FileContract, file: FileVersion) -> tuple[int, str]:
    """About how many slices a file would make, and why only one where it is large; its first bytes and its row groups decide."""
    count = math.ceil(file.size / bytes_of_a_slice(file.size))
    if count < 2:
        return 1, ""
    why = why_at_once(contract)
    if not why and contract.format != "parquet":
        ending = next((packed for end, packed in ENDINGS.items() if file.key.lower().endswith(end)), "none")
        packed = contract.compression or ending
        why = "" if packed == "none" else f"it is {packed}, which is not read from its middle"
        why = why or _of_encoding(contract.encoding)
    return (1, why) if why else (count, "")


def _of_encoding(encoding: str) -> str:
    try:
        _, is_own = codec_of(encoding)
    except UnsupportedSource as error:
        return str(error)
    return "" if is_own else f"{encoding} is not read from its middle"
