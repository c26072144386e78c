"""Change Tracking with all that a request says of rows and columns at once."""

import pytest

from flowforge.domain.errors import ScopeChanged
from tests.helpers.protection import keep_key
from tests.helpers.tracked import kinds

WHERE = [{"column": "region", "operator": "=", "values": ["EU"]}]


def test_should_follow_changes_of_rows_and_columns_that_are_chosen_renamed_cast_and_protected(tracked):
    table = tracked(
        where=WHERE,
        rename={"cust_nm": "name"},
        cast={"amount": "decimal(9,2)"},
        protect={"cust_nm": "hmac", "iban": "partial(2)"},
        protection_key=keep_key(),
        excluded_columns=["photo"],
    )
    columns = "region varchar(9), cust_nm varchar(20), amount varchar(9), iban varchar(9), photo varbinary(9)"
    table.execute(*(f"ALTER TABLE {{t}} ADD {column} NULL" for column in columns.split(", ")))
    table.execute("UPDATE {t} SET region = 'EU', cust_nm = 'Ann', amount = '1.5', iban = 'DE1234', photo = 0x01")
    table.execute("UPDATE {t} SET region = 'US' WHERE id = 30")
    table.load()
    assert [row["id"] for row in table.rows()] == [10, 20]
    table.execute(
        "UPDATE {t} SET region = 'US' WHERE id = 10",
        "UPDATE {t} SET region = 'eu', amount = '7.25' WHERE id = 30",  # the column's collation ignores case
        "INSERT INTO {t} VALUES (40, NULL, 'EU', 'Ann', '2', 'DE99', NULL), (50, NULL, 'US', 'Bo', 'x', 'DE98', NULL)",
        "DELETE FROM {t} WHERE id = 20",
    )
    assert kinds(table.load()) == {10: "delete", 20: "delete", 30: "update", 40: "insert", 50: "delete"}
    rows = table.rows()
    assert [(row["id"], str(row["amount"]), row["iban"]) for row in rows] == [
        (30, "7.25", "****34"),
        (40, "2.00", "**99"),
    ]
    assert "photo" not in rows[0] and "cust_nm" not in rows[0] and rows[0]["name"] == rows[1]["name"] != "Ann"
    for change in ({"where": []}, {"rename": {}}, {"protect": {"iban": "null"}, "protection_key": ""}):
        with pytest.raises(ScopeChanged):
            table.load(**change)
    table.execute("UPDATE {t} SET amount = 'x' WHERE id = 40")
    with pytest.raises(Exception, match="amount") as caught:
        table.load()
    assert "'x'" not in str(caught.value)
    table.execute("UPDATE {t} SET amount = '3' WHERE id = 40")
    table.load()
    assert [str(row["amount"]) for row in table.rows()] == ["7.25", "3.00"]
