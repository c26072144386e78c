"""`flowforge files inspect` as people and programs call it."""

import json


def test_should_show_what_is_proposed_for_a_file(alone):
    (alone.folder / "a.csv").write_bytes("id;name;paid\n1;Müller;1,50\n2;Ünal;2,25\n".encode("cp1252"))
    shown = alone("files", "inspect", str(alone.folder / "a.csv"))
    assert shown.code == 0
    for expected in ("Windows-1252", "semicolon: 3 of the first 3 records have 3 fields", "decimal(3,2)", "Müller"):
        assert expected in shown.out


def test_should_answer_as_data_and_fail_where_records_do_not_fit(alone):
    (alone.folder / "a.csv").write_text("id,name\n1,a\n2\n3,c\n")
    answered = alone("files", "inspect", str(alone.folder / "a.csv"), "--json")
    found = json.loads(answered.out)
    assert (answered.code, found["records"], found["irregular"]) == (1, 2, 1)
    assert found["first_irregular"] == [{"line": 3, "fields": 1, "text": "2"}]
    assert found["dialect"]["delimiter"] == ","


def test_should_say_why_a_file_is_refused(alone):
    (alone.folder / "a.csv").write_bytes(b"")
    refused = alone("files", "inspect", str(alone.folder / "a.csv"))
    assert (refused.code, "a.csv is empty: 0 bytes" in refused.err) == (1, True)
    missing = alone("files", "inspect", str(alone.folder / "b.csv"), "--json")
    assert (missing.code, json.loads(missing.out)["error"]) == (2, "InvalidRequest")
