"""Request files as people drop them: whatever encoding they are in, and what becomes of those that cannot be read."""

import gzip
import json

import pytest

from events.documents import MOST_BYTES
from tests.helpers.request_door import make_secret, request


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be", "utf-32", "utf-16-le"])
def test_should_read_a_request_file_in_the_encodings_that_windows_writes(door, encoding):
    secret, name = make_secret(), "日次ジョブ"
    text = json.dumps(request(secret) | {"job_name": name}, ensure_ascii=False)
    door.deliver(door.drop(text.encode(encoding)))
    assert (door.run()["status"], door.kept()["job_name"]) == ("accepted", name)
    assert len(door.aws.messages("IngestQueue")) == 1
    door.assert_clean(secret)


def test_should_refuse_a_file_in_a_code_page_with_the_way_out(door):
    secret = make_secret()
    door.deliver(door.drop((json.dumps(request(secret))[:-1] + ', "job_name": "Übernahme"}').encode("cp1252")))
    (mistake,) = door.run()["mistakes"]
    assert "save it as UTF-8" in mistake["problem"]
    assert set(door.kept()) == {"notKept"}
    door.assert_clean(secret)


def test_should_take_a_file_with_its_suffix_in_capitals(door):
    secret = make_secret()
    door.deliver(door.drop(json.dumps(request(secret)).encode(), key="requests/JOB.JSON"))
    assert door.run()["status"] == "accepted"
    door.assert_clean(secret)


UNREADABLE = {
    "cut in the value": lambda text, secret: text[: text.index(secret) + len(secret)],
    "single quotes": lambda text, secret: text.replace('"', "'"),
    "a field twice": lambda text, secret: text[:-1] + f', "job_name": "a", "job_name": "{secret}"}}',
    "something after it": lambda text, secret: text + text,
    "deep lists": lambda text, secret: "[" * 200_000 + json.dumps(secret),
    "deep objects": lambda text, secret: text[:-1] + ', "x": ' + '{"a":' * 500 + json.dumps(secret) + "}" * 501,
    "a text": lambda text, secret: json.dumps(text),
    "half a character": lambda text, secret: text[:-1] + ', "x": "\\ud800"}',
    "NaN": lambda text, secret: text[:-1] + ', "x": NaN}',
    "more values than a request has": lambda text, secret: text[:-1] + ', "x": [' + "1," * 100_000 + f'"{secret}"]}}',
    "a number of 5,000 digits": lambda text, secret: text[:-1] + f', "x": {"9" * 5000}}}',
    "a comment": lambda text, secret: f"// {secret}\n{text}",
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_should_replace_what_cannot_be_read_by_a_note_of_its_hash_and_the_reason(door, what):
    secret = make_secret()
    door.deliver(door.drop(UNREADABLE[what](json.dumps(request(secret)), secret).encode()))
    note = door.kept()["notKept"]
    assert (door.run()["status"], door.run()["mistakes"]) == ("rejected", note["reason"])
    assert len(note["sha256"]) == 64
    door.assert_clean(secret)


@pytest.mark.parametrize("content", ["large", "gzip"])
def test_should_not_keep_a_file_that_is_no_request(door, content):
    secret = make_secret()
    text = json.dumps(request(secret))
    padded = (" " * (MOST_BYTES + 1)).encode() + text.encode()
    door.deliver(door.drop(padded if content == "large" else gzip.compress(text.encode()) + secret.encode()))
    assert door.kept()["notKept"]["bytes"] > 0
    assert door.run()["status"] == "rejected"
    door.assert_clean(secret)
