"""A contract of files as a request says it: the inverse of `file_plan.contract_of`."""

from typing import Any

from pydantic import BaseModel

from events.files import FileColumn, FileContract
from events.request import FileColumnConfig, FileConfig

UNUSED = "\x1f"  # a request names a delimiter; this one stands for none, as texts do not have it


def source_of(contract: FileContract) -> dict[str, Any]:
    """The `source_config` of a request that has its files read so: what differs from the defaults."""
    given = {
        "encoding": contract.encoding,
        "quote": contract.quote,
        "escape": contract.escape,
        "hasHeader": contract.header,
        "skipRows": contract.skip_rows,
        "skipFooterRows": contract.skip_footer_rows,
        "compressionType": contract.compression,
        "member": contract.member,
        "nullWords": contract.null_words,
        "emptyIsNull": contract.empty_is_null,
        "recordsAt": contract.records_at or None,
        "flatten": contract.flatten,
        "sheet": contract.sheet,
        "cellRange": contract.cell_range,
        "headerRow": contract.header_row,
        "columns": [_column(one, contract.header) for one in contract.columns],
    }
    if contract.format in ("csv", "tsv"):
        usual = "\t" if contract.format == "tsv" else ","
        given["delimiter"] = None if contract.delimiter == usual else contract.delimiter or UNUSED
    return {"type": contract.format, "fileConfig": _without_defaults(FileConfig, given)}


def _column(column: FileColumn, has_header: bool) -> dict[str, Any]:
    given = {
        "name": column.name,
        "field": None if column.field == column.name and has_header else column.field,
        "type": column.type,
        "pattern": column.pattern,
        "decimalComma": column.decimal_comma,
        "thousands": column.thousands,
        "nullable": column.nullable,
        "start": column.start,
        "width": column.width,
    }
    return _without_defaults(FileColumnConfig, given)


def _without_defaults(model: type[BaseModel], given: dict[str, Any]) -> dict[str, Any]:
    fields = model.model_fields
    return {name: one for name, one in given.items() if one != fields[name].get_default(call_default_factory=True)}
