"""Which open transactions hold a bound back, by what the server's views say of them."""

import pytest

from flowforge.sources.sqlserver.transactions import may_write, sees_open_transactions
from flowforge.sources.sqlserver.writers import Writers

WRITER = {
    "name": "user_transaction", "transaction_type": 1, "is_user_transaction": True, "session_id": 60, "status": "running",
    "program_name": "core banking", "database_id": 5, "log_records": 0, "all_log_records": 0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("what", "row"),
    [
        ("runs and has written", {"log_records": 3}),
        ("runs and has written nothing yet", {}),
        ("idles with changes", {"status": "sleeping", "log_records": 1}),
        ("runs a statement of its own", {"name": "INSERT", "is_user_transaction": False}),
        ("belongs to a session that cannot be seen", {"status": None, "program_name": None}),
        ("is distributed and has no session", {"transaction_type": 4, "session_id": None, "is_user_transaction": None,
                                               "status": None, "program_name": None, "database_id": None}),
        ("is ours but has written", {"program_name": "flowforge", "log_records": 1}),
        ("is named like a statement by its user", {"name": "SELECT"}),
    ],
)  # fmt: skip
def test_should_let_a_transaction_hold_the_bound_that(what, row):
    assert may_write(WRITER | row), what


@pytest.mark.parametrize(
    ("what", "row"),
    [
        ("idles without changes", {"status": "sleeping"}),
        ("is one of our questions", {"program_name": "flowforge"}),
        ("is one of our reads", {"name": "flowforge_read", "program_name": "MSSQL-Python"}),
        ("is a lone SELECT", {"name": "SELECT", "is_user_transaction": False}),
        ("is the engine's own", {"name": "LobStorageProviderSession", "transaction_type": 2, "is_user_transaction": None,
                                 "session_id": None, "status": None, "program_name": None, "database_id": None}),
        ("is a sort of a running query", {"name": "sort_init", "transaction_type": 2, "is_user_transaction": False,
                                          "database_id": None}),
    ],
)  # fmt: skip
def test_should_not_wait_for_a_transaction_that(what, row):
    assert not may_write(WRITER | row), what


@pytest.mark.parametrize(
    ("what", "row", "writers"),
    [
        ("idles and may have drawn its number", {"status": "sleeping"}, Writers(unlogged=True)),
        ("idles with changes of another database", {"status": "sleeping", "all_log_records": 2}, Writers(anywhere=True)),
        ("runs a statement that is in no log yet", {"name": "UPDATE", "is_user_transaction": False, "transaction_type": 2,
                                                    "database_id": None}, Writers()),
    ],
)  # fmt: skip
def test_should_wait_where_the_value_may_be_older_than_the_log_for_a_transaction_that(what, row, writers):
    assert may_write(WRITER | row, writers), what
    assert not may_write(WRITER | row | {"program_name": "flowforge", "all_log_records": 0}, writers)


def test_should_prove_that_other_sessions_transactions_are_visible_and_leave_none_behind(bank):
    assert sees_open_transactions(bank) is True
    assert bank.scalar("SELECT COUNT(*) AS n FROM sys.dm_tran_active_transactions WHERE transaction_type <> 3") == 0
