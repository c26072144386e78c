"""What a load leaves in silver though the source may not have it any more is told by the run, with the setting that ends it."""


def rows(stack, name: str) -> int:
    ((found,),) = stack.lake(f"SELECT count(*) FROM silver.{name}")
    return found


def test_should_say_what_a_query_without_key_keeps(stack, name):
    stack.execute(
        f"CREATE TABLE {name} (id int PRIMARY KEY, v int, at datetime2(3))",
        f"INSERT INTO {name} VALUES (1, 10, '2024-01-01'), (2, 20, '2024-01-01')",
    )
    config = {"query": f"SELECT id, v, at FROM {name}", "isIncremental": True, "deltaColumn": "at"}
    where = {"bronzeConfig": {"tableName": f"bronze_{name}"}, "silverConfig": {"tableName": name}}
    stack.load(config, **where)
    stack.execute(f"UPDATE {name} SET v = 11, at = SYSDATETIME() WHERE id = 1")
    stack.settle()
    loaded = stack.load(config, **where)
    (note,) = [note for note in loaded["notes"] if "has no key" in note]
    assert "1 rows were added to 2" in note and "silverConfig.primaryKey" in note
    assert rows(stack, name) == 3

    keyed = {
        "bronzeConfig": {"tableName": f"bronze_{name}_k"},
        "silverConfig": {"tableName": f"{name}_k", "primaryKey": "id"},
    }
    assert not [note for note in stack.load(config, **keyed)["notes"] if "has no key" in note]


def test_should_say_how_many_rows_a_full_load_leaves(stack, name):
    values = ", ".join(f"({n})" for n in range(1, 11))
    stack.execute(f"CREATE TABLE {name} (id int PRIMARY KEY)", f"INSERT INTO {name} VALUES {values}")
    config = {"tableName": name}
    assert stack.load(config)["notes"] == []
    stack.execute(f"DELETE FROM {name} WHERE id > 7", f"INSERT INTO {name} VALUES (20)")
    (note,) = stack.load(config)["notes"]
    assert "3 of 11 rows are not among those of this full load (gone)" in note and "full_refresh" in note
    refreshed = stack.load(config, bronzeConfig={"tableName": f"bronze_{name}", "loadStrategy": "full_refresh"})
    assert (refreshed["notes"], refreshed["deleted"], rows(stack, name)) == ([], 3, 8)


def test_should_say_what_append_and_replace_do_to_the_table(stack, name):
    stack.execute(
        f"CREATE TABLE {name} (id int PRIMARY KEY, at datetime2(3))",
        f"INSERT INTO {name} VALUES (1, '2024-01-01'), (2, '2024-01-01')",
    )
    appended = {"silverConfig": {"tableName": name, "mergeStrategy": "append"}}
    assert stack.load({"tableName": name}, **appended)["notes"] == []
    (note,) = stack.load({"tableName": name}, **appended)["notes"]
    assert "adds every row of every full load, this time 2 to 2" in note

    config = {"tableName": name, "isIncremental": True, "deltaColumn": "at"}
    where = {
        "bronzeConfig": {"tableName": f"b_{name}"},
        "silverConfig": {"tableName": f"r_{name}", "mergeStrategy": "replace"},
    }
    stack.load(config, **where)
    stack.execute(f"INSERT INTO {name} VALUES (3, SYSDATETIME())")
    stack.settle()
    notes = stack.load(config, **where)["notes"]
    assert [note for note in notes if "2 rows were removed; merge keeps them" in note], notes


def test_should_say_what_to_write_instead_of_a_strategy_that_does_not_fit(stack, name):
    whole = stack.request({"tableName": name}, bronzeConfig={"loadStrategy": "incremental"})
    changes = {"tableName": name, "isIncremental": True, "deltaColumn": "at"}
    refresh = stack.request(changes, bronzeConfig={"loadStrategy": "full_refresh"})
    for document, instead in ((whole, "write append"), (refresh, "write incremental")):
        answer = stack.post(document)
        assert (answer.status_code, instead in answer.text) == (400, True), answer.text
