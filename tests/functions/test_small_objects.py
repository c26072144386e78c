"""Small objects below a prefix: all of them, as they are now, and none read twice by a process that has room for them."""

import os
from collections import Counter

from flowforge.aws.clients import client
from flowforge.aws.small_objects import read_below
from flowforge.gold.model_files import read_models, remove_models, write_models
from flowforge.runtime.settings import settings

MANY = 310  # model files; a process once remembered 300, and of more none


def put(key: str, body: bytes) -> None:
    client("s3").put_object(Bucket=settings().bucket, Key=key, Body=body)


def read(prefix: str, **options) -> dict[str, bytes | None]:
    return {key.removeprefix(prefix): body for key, body in read_below(settings().bucket, prefix, **options)}


def fetched(aws, work) -> int:
    """How many objects are fetched by `work`."""
    before = Counter(aws.calls())
    work()
    return (Counter(aws.calls()) - before)["S3 GetObject"]


def test_should_read_each_object_anew_only_when_it_is_another_one(aws, unique):
    prefix = f"{unique('small')}/"
    for n in range(30):
        put(f"{prefix}{n:02}", b"%d" % n)
    whole = {f"{n:02}": b"%d" % n for n in range(30)}
    assert list(read(prefix).items()) == list(whole.items())
    assert fetched(aws, lambda: read(prefix)) == 0
    put(f"{prefix}07", b"another")
    client("s3").delete_object(Bucket=settings().bucket, Key=f"{prefix}08")
    del whole["08"]
    assert fetched(aws, lambda: read(prefix)) == 1
    assert read(prefix) == whole | {"07": b"another"}


def test_should_leave_out_what_is_not_wanted_and_the_text_of_what_is_too_large(aws, unique):
    prefix = f"{unique('small')}/"
    for name, size in (("a.sql", 10), ("b.sql", 11), ("c.txt", 1)):
        put(f"{prefix}{name}", b"x" * size)
    wanted = {"is_wanted": lambda key: key.endswith(".sql"), "most_bytes": 10}
    assert read(prefix, **wanted) == {"a.sql": b"x" * 10, "b.sql": None}


def test_should_give_also_what_it_has_no_room_to_remember(aws, unique):
    """And push nothing out for it: what was remembered is not fetched again, however much is read behind it."""
    prefix = f"{unique('small')}/"
    bodies = {f"{n:02}": os.urandom(3 * 2**20) for n in range(14)}  # 42 MB that no compression makes smaller
    for name, body in bodies.items():
        put(f"{prefix}{name}", body)
    assert read(prefix) == bodies
    again = fetched(aws, lambda: read(prefix))
    assert 0 < again < len(bodies)
    assert fetched(aws, lambda: read(prefix)) == again
    assert read(prefix) == bodies
    for name in bodies:
        client("s3").delete_object(Bucket=settings().bucket, Key=f"{prefix}{name}")
    assert read(prefix) == {}
    put(f"{prefix}15", bodies["13"])
    assert fetched(aws, lambda: read(prefix)) == 1
    assert fetched(aws, lambda: read(prefix)) == 0  # the others have made room
    client("s3").delete_object(Bucket=settings().bucket, Key=f"{prefix}15")
    assert read(prefix) == {}


def test_should_ask_for_no_text_of_hundreds_of_models_that_it_knows(aws, unique):
    bucket, name = settings().bucket, unique("many")
    texts = {f"models/{name}_{n}.sql": f"SELECT {n} AS n FROM silver.{name}" for n in range(MANY)}
    write_models(texts, bucket)
    assert fetched(aws, lambda: read_models(bucket)) >= MANY
    assert fetched(aws, lambda: read_models(bucket)) == 0
    found = {model.origin: model.sql for model in read_models(bucket).models}
    remove_models(texts, bucket)
    assert {key: found[key] for key in texts} == texts
    assert not texts.keys() & {model.origin for model in read_models(bucket).models}
