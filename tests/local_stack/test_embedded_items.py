"""The embedded AWS keeps the items that it is given, whatever runs at the same time; and stock moto still does not.

The `stock` test interleaves two calls at exactly the place where moto 5.2.5 is wrong. When it fails, that correction in
infra/local/moto_mendings is no longer needed.
"""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import pytest
from moto.dynamodb.models import DynamoDBBackend

from infra.local import ports
from tests.helpers.embedded import create_table
from tests.helpers.servers import AWS_KEYS, AWS_VARIABLES, start, stop


def test_should_keep_items_written_while_transactions_fail(aws):
    dynamodb = aws("dynamodb")
    create_table(dynamodb, "kept")
    dynamodb.put_item(TableName="kept", Item={"pk": {"S": "taken"}})
    absent = {"TableName": "kept", "ConditionExpression": "attribute_not_exists(pk)"}
    cancelled = dynamodb.exceptions.TransactionCanceledException  # made once: two threads that ask first make two of it

    def write(number):
        dynamodb.put_item(TableName="kept", Item={"pk": {"S": f"item{number}"}})

    def fail(number):
        items = [
            {"Put": absent | {"Item": {"pk": {"S": f"half{number}"}}}},
            {"Put": absent | {"Item": {"pk": {"S": "taken"}}}},
        ]
        with pytest.raises(cancelled):
            dynamodb.transact_write_items(TransactItems=items)

    with ThreadPoolExecutor(6) as pool:
        done = [pool.submit(work, number) for number in range(100) for work in (write, fail)]
        for one in done:
            one.result()

    keys = {item["pk"]["S"] for item in dynamodb.scan(TableName="kept")["Items"]}
    assert keys == {"taken", *(f"item{number}" for number in range(100))}


class OperationDuringWhichSomebodyWrites(dict):
    """One operation of a transaction; reading its condition lets another writer put an item."""

    def get(self, name, default=None):
        if name == "ConditionExpression":
            self["backend"].put_item("undone", {"pk": {"S": "somebody else's"}})
        return super().get(name, default)


def test_should_undo_somebody_elses_write_in_a_failed_transaction_of_stock_moto():
    backend = DynamoDBBackend("us-east-1", "123456789012")
    key = {"AttributeName": "pk"}
    backend.create_table(
        "undone", schema=[key | {"KeyType": "HASH"}], attr=[key | {"AttributeType": "S"}], billing_mode="PAY_PER_REQUEST",
        throughput=None, indexes=[], global_indexes=[], streams=None, sse_specification=None, tags=[],
        deletion_protection_enabled=False, warm_throughput=None,
    )  # fmt: skip
    operation = OperationDuringWhichSomebodyWrites(
        TableName="undone", Item={"pk": {"S": "own"}}, ConditionExpression="attribute_exists(pk)", backend=backend
    )

    with pytest.raises(Exception, match="Transaction cancelled"):
        backend.transact_write_items([{"Put": operation}])

    assert backend.get_item("undone", {"pk": {"S": "somebody else's"}}) is None


def test_should_leave_no_trace_of_a_failed_transaction(aws):
    dynamodb = aws("dynamodb")
    create_table(dynamodb, "traces")
    before = {
        name: {"pk": {"S": name}, "list": {"L": [{"N": "1"}, {"M": {"a": {"S": "b"}}}]}} for name in ("a", "b", "c")
    }
    for item in before.values():
        dynamodb.put_item(TableName="traces", Item=item)
    of = {"TableName": "traces"}
    changed = {"UpdateExpression": "SET #l[0] = :n, extra = :n", "ExpressionAttributeNames": {"#l": "list"}}
    items = [
        {"Put": of | {"Item": {"pk": {"S": "a"}}}},
        {"Put": of | {"Item": {"pk": {"S": "new"}}}},
        {"Update": of | changed | {"Key": {"pk": {"S": "b"}}, "ExpressionAttributeValues": {":n": {"N": "2"}}}},
        {"Delete": of | {"Key": {"pk": {"S": "c"}}}},
    ]
    fails = {"ConditionCheck": of | {"Key": {"pk": {"S": "none"}}, "ConditionExpression": "attribute_exists(pk)"}}

    with pytest.raises(dynamodb.exceptions.TransactionCanceledException):
        dynamodb.transact_write_items(TransactItems=[*items, fails])
    assert {item["pk"]["S"]: item for item in dynamodb.scan(TableName="traces")["Items"]} == before

    dynamodb.transact_write_items(TransactItems=items)
    assert {item["pk"]["S"] for item in dynamodb.scan(TableName="traces")["Items"]} == {"a", "b", "new"}


def test_should_query_a_table_and_its_index_among_other_items(aws):
    dynamodb = aws("dynamodb")
    keys = {"HASH": "pk", "RANGE": "sk"}, {"HASH": "open", "RANGE": "since"}
    table, index = ([{"AttributeName": name, "KeyType": kind} for kind, name in of.items()] for of in keys)
    names = [{"AttributeName": name, "AttributeType": "S"} for of in keys for name in of.values()]
    dynamodb.create_table(
        TableName="asked", BillingMode="PAY_PER_REQUEST", KeySchema=table, AttributeDefinitions=names,
        GlobalSecondaryIndexes=[{"IndexName": "open", "KeySchema": index, "Projection": {"ProjectionType": "ALL"}}],
    )  # fmt: skip
    for number in range(30):
        item = {"pk": {"S": f"p{number % 3}"}, "sk": {"S": f"{number:02}"}, "n": {"N": str(number)}}
        item |= {"since": {"S": f"{99 - number}"}} if number % 2 else {}
        item |= {"open": {"S": "yes" if number < 20 else "no"}} if number % 5 else {}
        dynamodb.put_item(TableName="asked", Item=item)

    def numbers(values, **asked):
        found, page = [], {}
        while page is not None:
            values_of = {f":{name}": {"S": value} for name, value in values.items()}
            answer = dynamodb.query(TableName="asked", ExpressionAttributeValues=values_of, Limit=3, **asked, **page)
            found += [int(item["n"]["N"]) for item in answer["Items"]]
            last = answer.get("LastEvaluatedKey")
            page = {"ExclusiveStartKey": last} if last else None
        return found

    assert numbers({"p": "p1"}, KeyConditionExpression="pk = :p") == list(range(1, 30, 3))
    assert numbers({"p": "p1"}, KeyConditionExpression="pk = :p", ScanIndexForward=False) == list(range(28, 0, -3))
    assert numbers({"p": "p1", "s": "1"}, KeyConditionExpression="pk = :p AND begins_with(sk, :s)") == [10, 13, 16, 19]
    assert numbers({"p": "none"}, KeyConditionExpression="pk = :p") == []
    asked = {"IndexName": "open", "KeyConditionExpression": "#o = :o", "ExpressionAttributeNames": {"#o": "open"}}
    assert numbers({"o": "yes"}, **asked) == [19, 17, 13, 11, 9, 7, 3, 1]
    dynamodb.delete_item(TableName="asked", Key={"pk": {"S": "p1"}, "sk": {"S": "13"}})
    assert numbers({"o": "yes"}, **asked) == [19, 17, 11, 9, 7, 3, 1]

    def key(number):
        return {"pk": {"S": f"p{number % 3}"}, "sk": {"S": f"{number:02}"}}

    first = {
        "TableName": "asked",
        "UpdateExpression": "SET since = :s",
        "ExpressionAttributeValues": {":s": {"S": "00"}},
    }
    dynamodb.update_item(Key=key(11), **first)
    none = {"UpdateExpression": "REMOVE #o", "ExpressionAttributeNames": {"#o": "open"}}
    dynamodb.update_item(TableName="asked", Key=key(9), **none)
    told = {"open": {"S": "yes"}, "since": {"S": "96"}}
    beside = [{"PutRequest": {"Item": key(number) | told | {"n": {"N": str(number)}}}} for number in range(31, 37)]
    dynamodb.batch_write_item(RequestItems={"asked": beside})  # at one place, across pages
    fails = {"ConditionCheck": {"TableName": "asked", "Key": key(99), "ConditionExpression": "attribute_exists(pk)"}}
    with pytest.raises(dynamodb.exceptions.TransactionCanceledException):
        dynamodb.transact_write_items(TransactItems=[{"Update": first | {"Key": key(17)}}, fails])
    expected = [11, 19, 17, 7, *sorted([3, *range(31, 37)], key=lambda n: (n % 3, f"{n:02}")), 1]
    assert numbers({"o": "yes"}, **asked) == expected
    assert numbers({"o": "yes"}, ScanIndexForward=False, **asked) == expected[::-1]


def resident_megabytes(process):
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_should_keep_nothing_of_what_is_gone_and_copy_no_table():
    settings = {"region_name": "us-east-1", **AWS_KEYS}
    with ports.listen(0) as listener:
        url, number = f"http://127.0.0.1:{listener.getsockname()[1]}", listener.fileno()
        started = {"pass_fds": [number], "stderr": subprocess.DEVNULL, "env": os.environ | AWS_VARIABLES}
        process = start("infra.local.moto_server", str(number), **started)
    try:
        dynamodb, s3 = (boto3.client(name, endpoint_url=url, **settings) for name in ("dynamodb", "s3"))
        create_table(dynamodb, "large")
        s3.create_bucket(Bucket="replaced")
        content = {"L": [{"M": {"a": {"S": "x"}, "b": {"N": str(number)}}} for number in range(50)]}
        for number in range(100):
            item = {"pk": {"S": str(number)}, "content": content}
            dynamodb.transact_write_items(TransactItems=[{"Put": {"TableName": "large", "Item": item}}])
        s3.put_object(Bucket="replaced", Key="k", Body=bytes(2_000_000))
        before = resident_megabytes(process)
        for _ in range(100):
            dynamodb.transact_write_items(TransactItems=[{"Put": {"TableName": "large", "Item": item}}])
            s3.put_object(Bucket="replaced", Key="k", Body=bytes(2_000_000))
        grown = resident_megabytes(process) - before
        dynamodb.close()
        s3.close()
    finally:
        stop(process)
    assert grown < 50  # stock moto: 256


VALUES = {
    "S": ["", "text"],
    "N": ["0", "-1.5"],
    "B": [b"", b"\x00\xff"],
    "BOOL": [True, False],
    "NULL": [True],
    "SS": [["a", "b"]],
    "NS": [["1", "2"]],
    "BS": [[b"a", b"\xff"]],
    "L": [[], [{"S": "x"}, {"L": [{"N": "1"}]}]],
    "M": [{}, {"S": {"S": "named as a type"}, "m": {"M": {"B": {"B": b"x"}, "N": {"NULL": True}}}}],
}


@pytest.mark.parametrize("kind", VALUES)
def test_should_give_back_values_of_every_type(aws, kind):
    dynamodb = aws("dynamodb")
    create_table(dynamodb, f"values-{kind}")
    for number, value in enumerate(VALUES[kind]):
        item = {"pk": {"S": str(number)}, "v": {kind: value}}
        dynamodb.put_item(TableName=f"values-{kind}", Item=item)
        assert dynamodb.get_item(TableName=f"values-{kind}", Key={"pk": item["pk"]})["Item"] == item
        assert item in dynamodb.scan(TableName=f"values-{kind}")["Items"]
