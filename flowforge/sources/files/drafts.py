"""How a file is read to find its columns, drafted from its bytes: compression, encoding, format and dialect, each with why."""

import json

from pydantic import BaseModel

from events.files import FileColumn, FileContract
from flowforge.domain.errors import UnsupportedSource
from flowforge.sources.files.container import Content
from flowforge.sources.files.dialect import SAMPLE_BYTES, Dialect, propose_dialect
from flowforge.sources.files.encoding import Encoding, find_encoding
from flowforge.sources.files.fixed_width import FixedWidth, propose_fixed
from flowforge.sources.files.framing import chunks_of, codec_of
from flowforge.sources.files.json_text import JsonText, arrays_in

NAMES = {"skip_rows": "skipRows"}  # as requests have them


class Reason(BaseModel):
    """One thing that was found, and why."""

    what: str
    value: str
    reason: str = ""


class Draft(BaseModel):
    """How a file is read to find its columns, and why so."""

    contract: FileContract
    form: str
    found: list[Reason]
    dialect: Dialect | None = None
    width: int = 0
    notes: list[str] = []


def compression_of(content: Content) -> Reason:
    """The compression, which the first bytes tell, and the member of a zip."""
    member = f", member {content.member}" if content.member else ""
    return Reason(what="compression", value=content.compression + member, reason="by its first bytes")


def draft_of(content: Content, sheet: str | None, records_at: str) -> Draft:
    """The draft of a content that has no types of its own. Raises UnsupportedSource."""
    found = [compression_of(content)]
    if content.form == "excel":
        return Draft(contract=FileContract(format="excel", sheet=sheet), form="excel", found=found)
    encoding = find_encoding(content)
    found.append(Reason(what="encoding", value=encoding.name, reason=encoding.reason))
    codec = encoding.codec.removesuffix("-sig")
    sample = _sample(content, codec)
    if not sample.strip():
        raise UnsupportedSource(f"{content.name} has no character but blanks", "deliver it again")
    if (opening := sample.lstrip()[:1]) in (b"{", b"["):
        return _json(content, FileContract(format="json", encoding=codec), sample, opening, records_at, found)
    return _delimited(content, encoding, codec, sample, found)


def _sample(content: Content, codec: str) -> bytes:
    parts, size = list[bytes](), 0
    chunks = chunks_of(content, codec)
    for chunk in chunks:
        parts.append(chunk)
        size += len(chunk)
        if size >= SAMPLE_BYTES:
            break
    chunks.close()
    return b"".join(parts)[:SAMPLE_BYTES]


def _delimited(content: Content, encoding: Encoding, codec: str, sample: bytes, found: list[Reason]) -> Draft:
    proposal = propose_dialect(sample, codec_of(codec)[0], content.name)
    if not proposal.dialect.delimiter and (fixed := propose_fixed(content, codec)):
        return _fixed(fixed, codec, found)
    dialect, width = proposal.dialect, proposal.width
    places = range(1, width + 1 if not dialect.header else 1)
    form = "tsv" if dialect.delimiter == "\t" else "csv"
    contract = FileContract(
        format=form, encoding=codec, columns=[FileColumn(name=f"column_{n}", field=str(n)) for n in places],
        **dialect.model_dump(),
    )  # fmt: skip
    found += [
        Reason(what=NAMES.get(name, name), value=_shown(getattr(dialect, name)), reason=why)
        for name, why in proposal.reasons.items()
    ]
    return Draft(contract=contract, form="delimited", found=found, dialect=dialect, width=width)


def _fixed(fixed: FixedWidth, codec: str, found: list[Reason]) -> Draft:
    contract = FileContract(format="fixed", encoding=codec, header=fixed.header, columns=fixed.columns)
    why = "no delimiter splits most records alike, all lines have one length, and some places are blank in all of them"
    found = [
        *found,
        Reason(what="format", value="fixed", reason=why),
        Reason(what="header", value=_shown(fixed.header), reason=fixed.header_reason),
    ]
    for one, reason in zip(fixed.columns, fixed.reasons, strict=True):
        found.append(Reason(what=f"place of {one.name}", value=f"start {one.start}, width {one.width}", reason=reason))
    return Draft(contract=contract, form="fixed width", found=found, notes=fixed.notes)


def _json(
    content: Content, contract: FileContract, sample: bytes, opening: bytes, records_at: str, found: list[Reason]
) -> Draft:
    reason, notes = "it begins with [: one array of records", []
    first, _, behind = sample.strip().partition(b"\n")
    if records_at:
        contract = contract.model_copy(update={"records_at": records_at})
        reason = f"its records are at {records_at}"
    elif opening == b"{":
        is_line = _is_json(first) and (bool(behind) or len(sample) < SAMPLE_BYTES)
        paths = None if is_line and behind else _paths(content, contract.encoding)
        if is_line or paths is None:
            contract = contract.model_copy(update={"format": "ndjson"})
            reason = "its first line is an object" if is_line else "it is no document, so it may be of lines"
            notes = [f"its only line has an array of objects at {one}: is that what is meant?" for one in paths or ()]
        elif len(paths) == 1:
            contract = contract.model_copy(update={"records_at": paths[0]})
            reason = f"its only array of objects is at {paths[0]}"
        else:
            what = f"arrays of objects at {', '.join(paths[:10])}" if paths else "no array of objects"
            raise UnsupportedSource(f"{content.name} is one object with {what}", "name the records' path in recordsAt")
    value = f"{contract.format}, records at {contract.records_at}" if contract.records_at else contract.format
    found.append(Reason(what="format", value=value, reason=reason))
    return Draft(contract=contract, form="json", found=found, notes=notes)


def _paths(content: Content, encoding: str) -> list[str] | None:
    """Where the arrays of objects are in a document that is one object; None where it is none."""
    chunks = chunks_of(content, encoding)
    try:
        text = JsonText(chunks, content.name)
        paths = list(arrays_in(text))
        return None if text.next_sign() else paths
    except UnsupportedSource:
        return None
    finally:
        chunks.close()


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "tab" if value == "\t" else str(value) or "none"
