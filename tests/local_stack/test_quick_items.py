"""Items are written as stock moto writes them, by less work: what moto_mendings/expressions.py and requests.py replace.

The tests of stock moto show that it still does what is replaced; when one fails, that mending may go.
"""

import uuid
from contextlib import closing
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.core.errors import ErrorLookupFactory
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.parsing.ast_nodes import UpdateExpression
from moto.dynamodb.parsing.expressions import UpdateExpressionParser
from moto.moto_server.werkzeug_app import create_backend_app

from tests.helpers.servers import AWS_KEYS

TABLE: dict[str, Any] = {
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}
TWICE = (
    "SET #n = if_not_exists(#n, :zero) + :one, l = list_append(if_not_exists(l, :none), :more), m.a = :one REMOVE gone"
)
# Each is written twice: what a text was taken apart into is used again.
UPDATES = [
    (TWICE, {"#n": "number"}, {":zero": {"N": "0"}, ":one": {"N": "1"}, ":none": {"L": []}, ":more": {"L": [{"S": "x"}]}}),
    (TWICE, {"#n": "other"}, {":zero": {"N": "5"}, ":one": {"N": "2"}, ":none": {"L": []}, ":more": {"L": [{"S": "y"}]}}),
    ("REMOVE l[0], l[2]", {}, {}),
    ("ADD number :one, tags :tags DELETE old :tags", {}, {":one": {"N": "1"}, ":tags": {"SS": ["a", "b"]}}),
    ("SET m.#k.deep = :one", {"#k": "missing"}, {":one": {"N": "1"}}),
    ("SET pk = :one", {}, {":one": {"S": "b"}}),
    ("SET number = :one, number = :one", {}, {":one": {"N": "1"}}),
    ("SET a = :not_given", {}, {":one": {"N": "1"}}),
    ("SET a == :one", {}, {":one": {"N": "1"}}),
    ("SET a = :one SET b = :one", {}, {":one": {"N": "1"}}),
    ("SET huge = :huge", {}, {":huge": {"S": "x" * 405_001}}),
]  # fmt: skip


@pytest.fixture
def stock(monkeypatch):
    """A client of moto in this process, with an empty table t."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        client = boto3.client("dynamodb", region_name="us-east-1", **AWS_KEYS)
        client.create_table(TableName="t", **TABLE)
        yield client
        client.close()


def written(dynamodb, table: str) -> list[Any]:
    """What each update answers, and the item at last."""
    item = {"pk": {"S": "a"}, "m": {"M": {}}, "gone": {"S": "x"}, "old": {"SS": ["a", "c"]}}
    dynamodb.put_item(TableName=table, Item=item)
    told: list[Any] = []
    for expression, names, values in UPDATES * 2:
        given = {"ExpressionAttributeNames": names, "ExpressionAttributeValues": values}
        try:
            told.append(
                dynamodb.update_item(
                    TableName=table,
                    Key={"pk": {"S": "a"}},
                    UpdateExpression=expression,
                    ReturnValues="ALL_NEW",
                    **{name: value for name, value in given.items() if value},
                )["Attributes"]
            )
        except ClientError as error:
            told.append(error.response["Error"])
    return [*told, dynamodb.get_item(TableName=table, Key={"pk": {"S": "a"}})["Item"]]


def test_should_update_items_and_refuse_updates_as_stock_moto_does(aws, stock):
    name = f"updated_{uuid.uuid4().hex[:8]}"
    aws("dynamodb").create_table(TableName=name, **TABLE)
    expected = written(stock, "t")
    assert written(aws("dynamodb"), name) == expected
    assert {one["Code"] for one in expected if "Code" in one} == {"ValidationException"}
    assert expected[-1]["l"] == {"L": [{"S": "x"}]}


@pytest.mark.parametrize(("length", "refused"), [(404_000, False), (405_001, True)])
def test_should_refuse_an_item_that_is_too_large(aws, length, refused):
    name = f"large_{uuid.uuid4().hex[:8]}"
    aws("dynamodb").create_table(TableName=name, **TABLE)
    halves = {"a": {"S": "x" * (length // 2)}, "b": {"S": "x" * (length - length // 2)}}
    put = {"TableName": name, "Item": {"pk": {"S": "a"}, **halves}}
    if refused:
        with pytest.raises(ClientError, match="Item size has exceeded the maximum allowed size"):
            aws("dynamodb").put_item(**put)
    else:
        aws("dynamodb").put_item(**put)


def noted(monkeypatch, owner: Any, name: str) -> list[Any]:
    """The calls of one of moto's functions from now on."""
    calls, function = [], getattr(owner, name)
    monkeypatch.setattr(owner, name, lambda *given: calls.append(given) or function(*given))
    return calls


def test_should_take_an_update_apart_twice_and_look_at_it_many_times(stock, monkeypatch):
    taken_apart = noted(monkeypatch, UpdateExpressionParser, "make")
    looked_at = noted(monkeypatch, UpdateExpression, "find_clauses")
    given = {"UpdateExpression": "SET a = :a", "ExpressionAttributeValues": {":a": {"S": "x"}}}
    stock.update_item(TableName="t", Key={"pk": {"S": "a"}}, **given)
    assert len(taken_apart) == 2
    assert len(looked_at) > 10


def test_should_measure_all_of_an_item_for_each_of_its_attributes(stock, monkeypatch):
    measured = noted(monkeypatch, DynamoType, "size")
    stock.put_item(TableName="t", Item={"pk": {"S": "a"}} | {f"a{number}": {"S": "x"} for number in range(19)})
    assert len(measured) > 200


def test_should_help_developers_with_each_request():
    assert create_backend_app("dynamodb").debug


def test_should_make_a_register_of_all_errors_for_each_error(stock, monkeypatch):
    made, make = [], ErrorLookupFactory._create_error_lut
    keep = staticmethod(lambda model: made.append(model) or make(model))
    monkeypatch.setattr(ErrorLookupFactory, "_create_error_lut", keep)
    with closing(boto3.client("sqs", region_name="us-east-1", **AWS_KEYS)) as sqs:
        for _ in range(2):
            with pytest.raises(ClientError, match="does not exist"):
                sqs.get_queue_url(QueueName="none")
    assert len(made) == 2
