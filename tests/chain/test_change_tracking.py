"""Change Tracking from a request to gold, by the functions as they are deployed and the command line."""

import json

from tests.helpers.stack import flowforge, reconciled

ON = "IF NOT EXISTS (SELECT * FROM sys.change_tracking_databases) ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON"


def test_should_follow_a_table_to_gold_and_tell_what_is_done(compared, name, tmp_path):
    compared.execute(f"CREATE TABLE {name} (id int PRIMARY KEY, v int NOT NULL)", ON)
    config = {"tableName": name, "isIncremental": True, "changeTracking": True}
    request = compared.request(config)
    refused = compared.run(request)["tables"][0]
    statement = f"ALTER TABLE [dbo].[{name}] ENABLE CHANGE_TRACKING"
    assert (refused["status"], statement in json.dumps(refused)) == ("failed", True)

    compared.execute(statement, f"INSERT INTO {name} VALUES (1, 1), (2, 2), (3, 3)")
    assert compared.load(config)["records"] == 3
    compared.execute(
        f"DELETE FROM {name} WHERE id = 1",
        f"UPDATE {name} SET v = 20 WHERE id = 2",
        f"INSERT INTO {name} VALUES (4, 4)",
    )
    file = tmp_path / "request.json"
    file.write_text(json.dumps(request))
    planned = json.loads(flowforge(compared, "plan", str(file), "--json").stdout)["tables"][0]
    assert (planned["outcome"], planned["rows"], planned["counted"], planned["cursor"]) == (
        "loads",
        3,
        True,
        "_change_version",
    )
    assert planned["mode"] == "changes by Change Tracking, merge"
    loaded = compared.load(config)
    assert (loaded["records"], loaded["inserted"], loaded["updated"], loaded["deleted"]) == (3, 1, 1, 1)
    assert compared.lake(f"SELECT id, v FROM gold.{name} ORDER BY id") == [(2, 20), (3, 3), (4, 4)]
    assert reconciled(compared, name)["differs"] is False
    assert compared.load(config)["status"] == "empty"
    assert json.loads(flowforge(compared, "plan", str(file), "--json").stdout)["tables"][0]["outcome"] == "empty"
    kinds = compared.bronze(loaded["bronze_key"]).column("_change_type").to_pylist()
    assert sorted(kinds) == ["delete", "insert", "update"]
