"""Other servers that speak TDS, as far as the stand-in acts them: what each lacks, refuses and calls by other names.

By Microsoft's documentation of each view and function ("Applies to"), and for Babelfish by what Babelfish 4.3 answered. A profile
takes away and refuses; it adds nothing. `sqlserver` is the stand-in as it is: a SQL Server 2022.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .errors import SqlError
from .types import SqlType

FOREIGN = 33557097  # Babelfish's number for what it has none for
_TRANSACTIONS = frozenset(
    f"sys.{name}"
    for name in (
        "dm_tran_active_transactions", "dm_tran_session_transactions", "dm_tran_database_transactions",
    )
)  # fmt: skip

_TRACKING = frozenset(
    f"sys.{name}" for name in ("change_tracking_databases", "change_tracking_tables", "internal_tables")
)
_TRACKING_FUNCTIONS = frozenset(("CHANGETABLE", "CHANGE_TRACKING_CURRENT_VERSION", "CHANGE_TRACKING_MIN_VALID_VERSION"))

_NO_FORK = frozenset(("sys.database_recovery_status",))


@dataclass(frozen=True)
class Profile:
    """One kind of server. `denied` are views that a login may not ask, with the right that is missing."""

    version: str = ""
    product_version: str = ""
    edition: str = ""
    engine_edition: int = 3
    views: frozenset[str] = frozenset()  # those that it lacks, in lower case
    release: int = 2025  # what came later it has not; see `view_text`
    functions: frozenset[str] = frozenset()  # that it lacks, in upper case
    denied: dict[str, str] = field(default_factory=dict)
    is_babelfish: bool = False
    enters_databases: bool = True  # by USE
    hides_facts: bool = False  # IDENT_CURRENT and DATABASEPROPERTYEX are NULL

    def check_view(self, key: str) -> None:
        """Raises what this server says to a view that it does not have, or does not show to this login."""
        if key in self.views:
            text = f'relation "{key}" does not exist' if self.is_babelfish else f"Invalid object name '{key}'."
            raise SqlError(208, text)
        if right := self.denied.get(key):
            raise SqlError(
                262 if "DATABASE" in right else 300, f"{right} permission was denied in database 'master'.", 14
            )

    def check_function(self, name: str) -> None:
        """Raises what this server says to a function that it does not have."""
        if name.upper() not in self.functions:
            return
        if self.is_babelfish:
            raise SqlError(FOREIGN, f"function {name.lower()}() does not exist")
        raise SqlError(195, f"'{name}' is not a recognized built-in function name.")

    def style(self, source: SqlType | None, target: SqlType, style: int | None) -> int | None:
        """The style by which this server converts; raises what it says to a type that it does not have."""
        if self.is_babelfish and target.base == "hierarchyid":
            raise SqlError(FOREIGN, 'type "hierarchyid" does not exist')
        is_money = source is not None and source.base in ("money", "smallmoney")
        return 0 if self.is_babelfish and is_money and style == 2 else style  # it prints two decimals

    def shown(self, name: str, base: str) -> str:
        """How this server shows a column of a system view `v`."""
        quoted = f'v."{name}"'
        if not self.is_babelfish:
            return quoted
        if name == "name":
            return f"lower({quoted})"  # the catalog's spelling; a result keeps the statement's
        if name == "system_type_id":
            return f"CAST(255 - {quoted} AS UTINYINT)"
        return f"{quoted} + 10000" if name == "user_type_id" and base == "int" else quoted


PROFILES = {
    "sqlserver": Profile(),
    "2014": Profile(
        "Microsoft SQL Server 2014 (FlowForge stand-in) - 12.0.6024.0 (X64)", "12.0.6024.0", "Standard Edition (64-bit)", 2,
        release=2014,
        functions=frozenset(("DATEDIFF_BIG", "STRING_SPLIT", "CONCAT_WS", "TRIM", "STRING_AGG", "TRANSLATE", "GENERATE_SERIES")),
    ),
    "azure-sql": Profile(
        "Microsoft SQL Azure (RTM) - 12.0.2000.8 (FlowForge stand-in)", "12.0.2000.8", "SQL Azure", 5,
        enters_databases=False,
        views=_NO_FORK,
        denied=dict.fromkeys((*_TRANSACTIONS, "sys.dm_exec_connections", "sys.dm_exec_requests"), "VIEW DATABASE STATE"),
    ),
    "synapse": Profile(
        "Microsoft Azure SQL Data Warehouse - 10.0.16003.0", "10.0.16003.0", "SQL Azure", 6,
        views=_NO_FORK | _TRACKING,
        functions=_TRACKING_FUNCTIONS,
    ),
    "fabric": Profile(
        "Microsoft Azure SQL Data Warehouse - 12.0.2000.8", "12.0.2000.8", "SQL Azure", 11,
        views=_NO_FORK | _TRACKING,
        functions=_TRACKING_FUNCTIONS,
    ),
    "babelfish": Profile(
        "Babelfish for PostgreSQL with SQL Server Compatibility - 12.0.2000.8", "12.0.2000.8", "Standard", 2,
        is_babelfish=True, hides_facts=True,
        views=_TRANSACTIONS | _NO_FORK | _TRACKING | frozenset(
            f"sys.{name}" for name in (
                "allocation_units", "dm_db_partition_stats", "dm_exec_requests", "periods", "masked_columns", "external_tables",
                "dm_exec_describe_first_result_set", "security_policies", "security_predicates",
            )
        ),
        functions=_TRACKING_FUNCTIONS | frozenset(("MIN_ACTIVE_ROWVERSION", "FORMAT", "DM_EXEC_DESCRIBE_FIRST_RESULT_SET")),
    ),
    "few-rights": Profile(
        hides_facts=True,
        denied={
            **dict.fromkeys((*_TRANSACTIONS, "sys.dm_exec_connections", "sys.dm_exec_requests"), "VIEW SERVER STATE"),
            **dict.fromkeys(("sys.databases", *_NO_FORK, "sys.partitions", "sys.allocation_units"), "VIEW ANY DEFINITION"),
        },
    ),
}  # fmt: skip
