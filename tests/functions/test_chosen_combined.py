"""All that a request says of rows and columns at once, beside windows, comparisons of keys and cuts."""

from typing import Any

import pytest

from events.facts import BronzeLanded
from events.targets import ReadWindow
from flowforge.bronze.cut import ingest_cut
from flowforge.bronze.outcome import Outcome
from flowforge.domain.errors import ScopeChanged
from flowforge.domain.given import given
from flowforge.gold.step import publish_refined
from flowforge.silver.step import refine_landed
from tests.helpers.cuts import MONEY
from tests.helpers.key_comparisons import keyed, refined, silver
from tests.helpers.protection import keep_key

WHERE = [{"column": "region", "operator": "=", "values": ["EU"]}]
COLUMNS = "region varchar(9), cust_nm varchar(20), amount varchar(9), iban varchar(9), photo varbinary(9)"


def chosen() -> dict[str, Any]:
    return {
        "where": WHERE,
        "rename": {"cust_nm": "name"},
        "cast": {"amount": "decimal(9,2)"},
        "protect": {"cust_nm": "hmac", "iban": "partial(2)"},
        "protection_key": keep_key(),
        "excluded_columns": ["photo"],
    }


def test_should_backfill_and_compare_keys_of_rows_and_columns_that_are_chosen(loads):
    load, wanted = loads(), chosen()

    def asked(run: str, **source: Any):
        command = keyed(load, run)
        return command.model_copy(
            update={"source": command.source.model_validate(command.source.model_dump() | wanted | source)}
        )

    def rows() -> list[tuple[Any, ...]]:
        return [(row["id"], str(row["amount"]), row["iban"], len(row["name"])) for row in silver(load)]

    load.execute(*(f"ALTER TABLE {{t}} ADD {column} NULL" for column in COLUMNS.split(", ")))
    load.execute("UPDATE {t} SET region = 'EU', cust_nm = 'Ann', amount = '1.5', iban = 'DE1234', photo = 0x01")
    load.execute("INSERT INTO {t} VALUES (40, '2024-01-04', 'US', 'Bo', 'x', 'DE98', NULL)")
    refined(load, asked("a"))
    assert rows() == [(n, "1.50", "****34", 64) for n in (10, 20, 30)]
    watermark = load.watermark()
    load.execute("UPDATE {t} SET amount = '2' WHERE id = 20", "UPDATE {t} SET amount = '9' WHERE id = 10")
    refined(load, asked("b", window=ReadWindow(low="2024-02-01", high="2024-03-01").model_dump()))
    assert (rows()[:2], load.watermark()) == ([(10, "1.50", "****34", 64), (20, "2.00", "****34", 64)], watermark)
    load.execute("DELETE FROM {t} WHERE id = 20", "UPDATE {t} SET region = 'US' WHERE id = 30")
    (fact,) = refined(load, asked("c").model_copy(update={"only_keys": True}))
    assert (fact.deleted, [row[0] for row in rows()]) == (1, [10, 30])  # conditions do not count for what is gone
    assert not {"photo", "cust_nm"} & set(silver(load)[0])
    with pytest.raises(ScopeChanged):
        load.follow(asked("d", where=[]))


def test_should_keep_the_moment_of_tables_whose_rows_and_columns_are_chosen(ledger):
    wanted = chosen()
    for number, table in enumerate(ledger.tables):
        table.execute(*(f"ALTER TABLE {{t}} ADD {column} NULL" for column in COLUMNS.split(", ")))
        table.execute("UPDATE {t} SET region = 'EU', cust_nm = 'Ann', amount = '1.5', iban = 'DE1234', photo = 0x01")
        table.execute(f"INSERT INTO {{t}} VALUES (9, {number + 7}, 'US', 'Bo', 'x', 'DE98', NULL)")
    ledger.load(**wanted)
    for amount in (5, 6):
        ledger.tables[0].meanwhile = [lambda amount=amount: ledger.transfer(amount)]
        ledger.load(**wanted)
    ledger.load(**wanted)
    assert set(ledger.held()) == {MONEY}
    (row, *_) = ledger.lake("silver", ledger.names[0]).to_pyarrow_table().to_pylist()
    assert (str(row["amount"]), row["iban"], len(row["name"])) == ("1.50", "****34", 64)
    assert not {"photo", "cust_nm"} & set(row)
    for change in ({"where": []}, {"rename": {}}, {"protect": {"iban": "null"}, "protection_key": ""}):
        with pytest.raises(ScopeChanged):  # though nothing is new
            ledger.load(**wanted | change)


def test_should_show_no_half_of_a_transfer_while_batches_come_to_silver_a_second_time(ledger, aws, monkeypatch):
    first = [fact for fact in ledger.load() if isinstance(fact, BronzeLanded)]
    ledger.transfer(5)
    second = [fact for fact in ingest_cut(ledger.command()).facts if isinstance(fact, BronzeLanded)]
    # delta-rs reads a log's history with the interpreter's lock held, and the proxy is in this process.
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint)
    for number, fact in enumerate(second, start=1):
        ledger.follow(Outcome([fact]))
        for again in (*first, *second[:number]):
            ledger.published.append(given(publish_refined(given(refine_landed(again)))))
    assert (set(ledger.held()), ledger.silver()) == ({MONEY}, ledger.source())
