"""The columns that FlowForge adds to a table's own: in bronze, in silver, and while a batch is applied."""

GENERATION, SEQ = "_generation", "_seq"
ROW_HASH, OCCURRENCE = "_row_hash", "_occurrence"
APPLIES = "_flowforge_applies"  # of the staged rows only: false where the key is in the batch, but which row is unclear
MATCHED = "_flowforge_key_"  # the same, with its number: the form of a key column that keys are compared by
SURROGATE = "_sk_id"
DELETED = "_is_deleted"
VALID_FROM, VALID_TO, CURRENT = "_valid_from", "_valid_to", "_is_current"
REASON, RULES, CONTENT = "_reason", "_rules", "_content_hash"  # of a row in quarantine
INTERNAL = (GENERATION, SEQ, ROW_HASH, OCCURRENCE)
ADDED = (SURROGATE, DELETED, VALID_FROM, VALID_TO, CURRENT)  # what silver adds for its readers
SOURCE_FILE = "_source_file"
AUDIT = ("_batch_id", "_ingestion_time", "_source_system", SOURCE_FILE, "_file_modified_time")
ROW_NUMBER = "_row_number"
FILE_AUDIT = ("_file_version", ROW_NUMBER)  # beside those, where the source is files
CHANGE_TYPE, CHANGE_VERSION = "_change_type", "_change_version"  # of rows in bronze that tell what became of a key
DELETE, BEFORE = "delete", "before"  # values of the first: the key is gone; how the row was, which nobody applies
GONE = "_flowforge_gone"  # of the staged rows only: the key's last change is a deletion
OURS = "_flowforge_"  # what begins so is of a statement alone


def audit_of(files: bool) -> tuple[str, ...]:
    """The audit columns of a table's rows, or of rows that come from files."""
    return (*AUDIT, *FILE_AUDIT) if files else AUDIT


def is_own(name: str, audited: bool, files: bool = False) -> bool:
    """Whether a column of that name, in any case, would meet one that FlowForge adds; `audited`: bronze has audit columns;
    `files`: the source is files."""
    taken = {*INTERNAL, *ADDED, REASON, RULES, CONTENT, *(audit_of(files) if audited else ())}
    return name.lower() in taken or name.lower().startswith(OURS)
