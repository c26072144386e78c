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
AUDIT = ("_batch_id", "_ingestion_time", "_source_system", "_source_file", "_file_modified_time")
OURS = "_flowforge_"  # what begins so is of a statement alone


def is_own(name: str, audited: bool) -> bool:
    """Whether a column of that name, in any case, would meet one that FlowForge adds; `audited`: bronze has audit columns."""
    taken = {*INTERNAL, *ADDED, REASON, RULES, CONTENT, *(AUDIT if audited else ())}
    return name.lower() in taken or name.lower().startswith(OURS)
