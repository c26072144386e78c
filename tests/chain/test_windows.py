"""A part of a table is loaded once more, from the command line to gold, and what is newer stays."""

import json

import pytest

from tests.helpers.stack import flowforge


@pytest.mark.parametrize("strategy", ["merge", "scd2"])
def test_should_bring_what_was_changed_without_a_new_stamp_and_leave_all_else(stack, name, tmp_path, strategy):
    """Somebody has mended rows by hand, and not their stamps: no load of what is new sees that."""
    stack.execute(
        f"CREATE TABLE {name} (id int PRIMARY KEY, v int, at datetime2(3))",
        f"INSERT INTO {name} VALUES (1, 10, '2024-01-15'), (2, 20, '2024-02-15'), (3, 30, '2024-03-15')",
    )
    config = {"tableName": name, "isIncremental": True, "deltaColumn": "at"}
    own = {
        "bronzeConfig": {"tableName": f"bronze_{name}"},
        "silverConfig": {"tableName": name, "mergeStrategy": strategy},
    }
    first = stack.load(config, **own)
    stack.execute(
        f"UPDATE {name} SET v = v + 1 WHERE id IN (2, 3)",  # both without a stamp, and one of them is asked for
        f"UPDATE {name} SET v = 11, at = SYSDATETIME() WHERE id = 1",
    )
    file = tmp_path / "request.json"
    file.write_text(json.dumps(stack.request(config, **own)))
    window = ("--from", "2024-02-01", "--to", "2024-03-01")
    planned = flowforge(stack, "plan", str(file), *window, "--json")
    (table,) = json.loads(planned.stdout)["tables"]
    assert (table["low"], table["high"], table["outcome"]) == (
        "2024-02-01 00:00:00.000",
        "2024-03-01 00:00:00.000",
        "loads",
    )
    ended = flowforge(stack, "submit", str(file), *window, "--watch", "--json")
    assert ended.returncode == 0, ended.stderr
    (loaded,) = json.loads(ended.stdout)["tables"]
    assert (loaded["records"], loaded["watermark_after"]) == (1, first["watermark_after"])
    current = " WHERE _is_current" if strategy == "scd2" else ""
    lake = f"SELECT id, v FROM {{}}.{name}{current} ORDER BY id"
    assert stack.lake(lake.format("silver")) == stack.lake(lake.format("gold")) == [(1, 10), (2, 21), (3, 30)]
    stack.settle()
    assert stack.load(config, **own)["records"] == 1
    assert stack.lake(lake.format("silver")) == [(1, 11), (2, 21), (3, 30)]


def test_should_say_what_a_window_needs(stack, name, tmp_path):
    file = tmp_path / "request.json"
    file.write_text(json.dumps(stack.request({"tables": ["dbo.*"]})))
    ended = flowforge(stack, "submit", str(file), "--from", "1")
    assert ended.returncode == 2 and "patterns have none: dbo.*" in " ".join(ended.stderr.split())
    file.write_text(json.dumps(stack.request({"tableName": name})))
    ended = flowforge(stack, "submit", str(file), "--from", "1")
    told = " ".join(ended.stderr.split())
    assert ended.returncode == 2 and "databaseConfig.window" in told and "needs isIncremental true" in told


def test_should_bring_a_column_to_the_rows_that_were_loaded_without_it(stack, name, tmp_path):
    stack.execute(
        f"CREATE TABLE {name} (id int PRIMARY KEY, at datetime2(3), a int)",
        f"INSERT INTO {name} VALUES (1, '2024-01-15', 10), (2, NULL, 20), (3, '2024-03-15', NULL)",
    )
    config, own = {"tableName": name, "isIncremental": True, "deltaColumn": "at"}, {"silverConfig": {"tableName": name}}
    stack.load(config | {"columns": {"exclude": ["a"]}}, **own)
    stack.execute(f"INSERT INTO {name} VALUES (4, SYSDATETIME(), 40)")
    stack.settle()
    loaded = stack.load(config, **own)
    assert any("flowforge submit FILE --backfill-column a" in note for note in loaded["notes"])
    lake = f"SELECT id, a FROM silver.{name} ORDER BY id"
    assert stack.lake(lake) == [(1, None), (2, 20), (3, None), (4, 40)]  # one without a cursor is read by every load
    file = tmp_path / "request.json"
    file.write_text(json.dumps(stack.request(config, **own)))
    ended = flowforge(stack, "submit", str(file), "--backfill-column", "a", "--watch", "--json")
    assert ended.returncode == 0, ended.stderr
    (filled,) = json.loads(ended.stdout)["tables"]
    assert (filled["watermark_after"], filled["notes"]) == (loaded["watermark_after"], [])
    assert stack.lake(lake) == [(1, 10), (2, 20), (3, None), (4, 40)]
