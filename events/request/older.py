"""The forms of requests of the pipeline before this one, turned into today's.

A file job came flat (`landing_key`, `file_format`, `file_options`, `column_mappings`, `has_header`, `primary_keys`) or with the
form's `source_config.fileConfig`; the form's layers had words of their own. What has a meaning here is mapped, what has none is
left out where it asks for nothing, and the rest is refused by name with the nearest that works. Guarantees: pure; a document of
today is returned as it is.
"""

from typing import Any

from events.request.files import FORMATS_OF

Unsupported = list[tuple[str, str]]
FLAT = ("landing_key", "file_format", "file_options", "column_mappings", "has_header", "primary_keys")
OPTIONS = {  # of file_options, and of fileConfig in small letters
    "delimiter": "delimiter",
    "sep": "delimiter",
    "separator": "delimiter",
    "encoding": "encoding",
    "quote": "quote",
    "quotechar": "quote",
    "quote_char": "quote",
    "escape": "escape",
    "escapechar": "escape",
    "escape_char": "escape",
    "has_header": "hasHeader",
    "header": "hasHeader",
    "skip_rows": "skipRows",
    "skiprows": "skipRows",
    "skip_footer_rows": "skipFooterRows",
    "skipfooter": "skipFooterRows",
    "compression": "compressionType",
    "compression_type": "compressionType",
    "null_values": "nullWords",
    "na_values": "nullWords",
    "sheet": "sheet",
    "sheet_name": "sheet",
}
TYPES = {
    **dict.fromkeys(("string", "str", "varchar", "nvarchar", "char", "text", "object"), "text"),
    **dict.fromkeys(("int", "integer", "bigint", "long", "int32", "int64", "smallint"), "bigint"),
    **dict.fromkeys(("float", "double", "real", "float64", "number"), "double"),
    **dict.fromkeys(("bool", "boolean", "bit"), "boolean"),
    **dict.fromkeys(("datetime", "datetime2", "timestamp"), "timestamp"),
    "date": "date",
    "json": "json",
}
BLANK = ("filePath", "filePattern", "delimiter", "encoding", "sheet")  # sent empty where nothing was entered
USUAL = {"delimiter": ",", "hasHeader": True, "skipRows": 0, "skipFooterRows": 0, "encoding": "utf-8"}
LAYERS = ("bronzeConfig", "silverConfig", "goldConfig")
WORDS = {  # layer -> field -> word of before -> today's
    "bronzeConfig": {"loadStrategy": {"overwrite": "full_refresh"}},
    "silverConfig": {"mergeStrategy": {"full_refresh": "replace"}},
    "goldConfig": {},
}


def as_today(document: dict[str, Any]) -> tuple[dict[str, Any], Unsupported]:
    """The document in today's form, and what of it has no meaning here as (field, problem)."""
    unsupported: Unsupported = []
    today = dict(document)
    if document.get("source_type") == "file":
        if "source_config" not in document and any(field in document for field in FLAT):
            today = _unfolded(today, unsupported)
        today = _file_config(today, unsupported)
    if isinstance(today.get("destination_config"), dict):
        today["destination_config"] = _layers(today["destination_config"], unsupported)
    return (today if today != document else document), unsupported


def _unfolded(flat: dict[str, Any], unsupported: Unsupported) -> dict[str, Any]:
    """The flat form: its fields under source_config, and its keys under silverConfig."""
    today = {name: value for name, value in flat.items() if name not in FLAT}
    config: dict[str, Any] = {}
    if flat.get("landing_key") is not None:
        config["filePath"] = flat["landing_key"]
    options = flat.get("file_options")
    for name, value in options.items() if isinstance(options, dict) else ():
        if name.lower() in OPTIONS:
            config[OPTIONS[name.lower()]] = value
        elif value is not None:
            unsupported.append((f"file_options.{name}", f"is not known: write one of {', '.join(OPTIONS)}"))
    if flat.get("has_header") is not None:
        config["hasHeader"] = flat["has_header"]
    if flat.get("column_mappings"):
        config["columnMappings"] = flat["column_mappings"]
    today["source_config"] = {"type": flat.get("file_format"), "fileConfig": config}
    if flat.get("primary_keys"):
        destination = dict(today.get("destination_config") or {})
        destination["silverConfig"] = {"primaryKey": flat["primary_keys"], **(destination.get("silverConfig") or {})}
        today["destination_config"] = destination
    return today


def _file_config(document: dict[str, Any], unsupported: Unsupported) -> dict[str, Any]:
    """The form's fileConfig: what is beside it in the request, its mappings, and settings of another format that say nothing."""
    source = document.get("source_config")
    given = source.get("fileConfig") if isinstance(source, dict) else None
    if not isinstance(source, dict) or not isinstance(given, dict):
        return document
    config = {name: value for name, value in given.items() if value is not None and (value != "" or name not in BLANK)}
    mappings = config.pop("columnMappings", None) or document.get("column_mappings")
    today = {name: value for name, value in document.items() if name != "column_mappings"}
    if isinstance(mappings, list) and mappings and "columns" not in config:
        config["columns"] = [_column(n, one, unsupported) for n, one in enumerate(mappings)]
        config.setdefault("unknownColumns", "add")  # what the form did not map was loaded, too
    for name in _idle(str(source.get("type")), config):
        del config[name]
    return {**today, "source_config": {**source, "fileConfig": config}} if config != given else today


def _idle(form: str, config: dict[str, Any]) -> list[str]:
    """What the form's page sent for every format, where the format has no such setting and it is the page's default."""
    return [
        name
        for name, usual in USUAL.items()
        if config.get(name, usual) == usual and form not in FORMATS_OF[name] and name in config
    ]


def _column(place: int, given: Any, unsupported: Unsupported) -> Any:
    if not isinstance(given, dict) or "sourceColumn" not in given:
        return given
    kind = str(given.get("dataType") or "text").lower().replace(" ", "")
    known = TYPES.get(kind.partition("(")[0]) or (kind if kind.startswith("decimal(") else None)
    if kind in ("decimal", "numeric"):
        unsupported.append((f"column_mappings.{place}.dataType", f"{kind} needs its digits: write decimal(18,2)"))
    elif kind.startswith("numeric("):
        known = kind.replace("numeric", "decimal")
    elif known is None:
        unsupported.append(
            (f"column_mappings.{place}.dataType", f"is not known: write one of {', '.join(TYPES)}, decimal(p,s)")
        )
    column = {"name": given.get("targetColumn") or given["sourceColumn"], "field": given["sourceColumn"]}
    return column | {"type": known or "text"}


def _layers(given: dict[str, Any], unsupported: Unsupported) -> dict[str, Any]:
    layers = dict(given)
    for layer in LAYERS:
        if isinstance(given.get(layer), dict):
            layers[layer] = _layer(layer, given[layer], unsupported)
    return layers


def _layer(layer: str, given: dict[str, Any], unsupported: Unsupported) -> dict[str, Any]:
    """A layer's settings with today's words."""
    today, path = dict(given), f"destination_config.{layer}"
    if today.pop("enabled", True) is False:
        unsupported.append(
            (f"{path}.enabled", "each layer is made: leave it out (a layer that nobody reads costs little)")
        )
    if today.pop("partitionKeys", None):
        problem = "tables are not partitioned by columns: leave it out (files are skipped by their statistics)"
        unsupported.append((f"{path}.partitionKeys", problem))
    if today.pop("retentionDays", None) is not None:
        problem = "is a setting of the deployment (see docs/operations.md): leave it out"
        unsupported.append((f"{path}.retentionDays", problem))
    if layer != "bronzeConfig" and (kept := today.pop("storageFormat", "delta")) != "delta":
        problem = f"{layer[:-6]} is Delta, whose files are Parquet: write delta in place of {kept}"
        unsupported.append((f"{path}.storageFormat", problem))
    if (keys := today.pop("surrogateKeyStrategy", "use_existing")) != "use_existing":
        problem = (
            f"{keys} is not made: write use_existing, or mergeStrategy scd2, whose versions have a key of their own"
        )
        unsupported.append((f"{path}.surrogateKeyStrategy", problem))
    if layer == "goldConfig" and "refreshStrategy" in today:
        strategy = {"incremental": "incremental", "full_rebuild": "full"}.get(str(today.pop("refreshStrategy")))
        if strategy is None:
            unsupported.append((f"{path}.refreshStrategy", "expected incremental or full_rebuild"))
        else:
            today.setdefault("buildStrategy", strategy)
    for field, words in WORDS[layer].items():
        if isinstance(today.get(field), str):
            today[field] = words.get(today[field], today[field])
    return today
