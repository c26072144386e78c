"""Lets the embedded AWS outlive its process: what moto holds of tables, queues, secrets and objects is written to `kept` as well,
and is there again when the template's resources are created at the next start.

Guarantees: written before it can be seen (objects, messages) or before the call is answered, under the lock that keeps other
calls out meanwhile (items, secrets); an event for all its targets at once. Not kept: old versions of objects, unfinished uploads,
how often a message was received and until when it is hidden: after a restart every message is there to be received. Objects lie
in files, not in memory.
"""

import json
import threading
from collections.abc import Callable
from typing import Any

import moto.events.models as events
import moto.s3.notifications as s3_notifications
import moto.sqs.models as sqs
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table
from moto.dynamodb.responses import DynamoHandler
from moto.secretsmanager.models import FakeSecret, secretsmanager_backends
from moto.secretsmanager.responses import SecretsManagerResponse

from infra.local.kept import Change, Kept
from infra.local.moto_mendings.edge import put_in_place
from infra.local.moto_mendings.kept_objects import keep_objects

ITEM_WRITES = ("PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems", "BatchWriteItem")
SECRET_FIELDS = ("arn", "secret_string", "description", "tags", "created_date", "last_changed_date", "deleted_date")
MESSAGE_FIELDS = ("body", "sent_timestamp", "delayed_until", "message_attributes", "system_attributes")
MESSAGE_FIELDS += ("group_id", "deduplication_id", "sequence_number")

_gathering = threading.local()


def keep_all_but_items(kept: Kept) -> None:
    """Put the replacements for messages, secrets and objects in place, in this process."""
    _keep_messages(kept)
    _keep_secrets(kept)
    keep_objects(kept)


# ---------------------------------------------------------------- DynamoDB
def keep_items(kept: Kept) -> None:
    """Put the replacements for items in place; whatever locks a call must be put around them."""
    calls, creates = DynamoHandler.call_action, DynamoDBBackend.create_table

    def call_action(handler: DynamoHandler) -> Any:
        answer = calls(handler)
        action = handler.headers.get("X-Amz-Target", "").rpartition(".")[2]
        if action in ITEM_WRITES and answer[0] < 300:
            backend = handler.dynamodb_backend
            places = list(_named(backend, places_written(action, handler.body)))
            try:
                kept.write(*{place[:2]: _item(backend, *place) for place in places}.values())
            except BaseException:  # the disk is full: nobody may see what is not on it
                for place in places:
                    put_back(backend, *place)
                raise
        return answer

    def put_back(
        backend: DynamoDBBackend, name: str, place: str, hash_key: DynamoType, range_key: DynamoType | None
    ) -> None:
        table, before = backend.get_table(name), kept.one("items", name, place)
        if before is not None:
            table.put_item(before, overwrite=True)
        elif table.get_item(hash_key, range_key) is not None:
            table.delete_item(hash_key, range_key)

    def create_table(backend: DynamoDBBackend, name: str, *args: Any, **kwargs: Any) -> Table:
        table = creates(backend, name, *args, **kwargs)
        for _, attributes in kept.all("items", name):
            table.put_item(attributes, overwrite=True)
        return table

    put_in_place(DynamoHandler, call_action=call_action)
    put_in_place(DynamoDBBackend, create_table=create_table)


def places_written(action: str, body: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The table and the key (with or without other attributes) of each item that a call writes."""
    if action == "TransactWriteItems":
        wanted = [
            one for operation in body["TransactItems"] for kind, one in operation.items() if kind != "ConditionCheck"
        ]
        return [(one["TableName"], one.get("Item") or one["Key"]) for one in wanted]
    if action == "BatchWriteItem":
        requests = [(table, one) for table, many in body["RequestItems"].items() for one in many]
        return [
            (table, (one.get("PutRequest") or {}).get("Item") or one["DeleteRequest"]["Key"]) for table, one in requests
        ]
    return [(body["TableName"], body.get("Item") or body["Key"])]


def _named(
    backend: DynamoDBBackend, places: list[tuple[str, dict[str, Any]]]
) -> list[tuple[str, str, DynamoType, DynamoType | None]]:
    found = []
    for name, attributes in places:
        table = backend.get_table(name)
        key = {attribute: attributes[attribute] for attribute in table.table_key_attrs}
        range_key = DynamoType(attributes[table.range_key_attr]) if table.range_key_attr is not None else None
        place = json.dumps(key, sort_keys=True)
        found.append((table.name, place, DynamoType(attributes[table.hash_key_attr]), range_key))
    return found


def _item(
    backend: DynamoDBBackend, name: str, place: str, hash_key: DynamoType, range_key: DynamoType | None
) -> Change:
    item = backend.get_table(name).get_item(hash_key, range_key)
    return ("items", name, place, item.to_json()["Attributes"] if item is not None else None)


# ---------------------------------------------------------------- SQS
def _keep_messages(kept: Kept) -> None:
    adds, deletes, creates = sqs.Queue.add_message, sqs.Queue.delete_message, sqs.SQSBackend.create_queue
    purges = sqs.SQSBackend.purge_queue

    def add_message(queue: sqs.Queue, message: sqs.Message) -> None:
        if (gathered := getattr(_gathering, "messages", None)) is not None:
            gathered.append((queue, message))
        else:
            deliver([(queue, message)])

    def deliver(messages: list[tuple[sqs.Queue, sqs.Message]]) -> None:
        """Sends messages, all or none: a bus that has taken an event gives it to each of its targets."""
        kept.write(*(_message(queue, message) for queue, message in messages))
        for queue, message in messages:
            adds(queue, message)

    def to_all_targets(call: Callable) -> Callable:
        def called(*args: Any, **kwargs: Any) -> Any:
            _gathering.messages = []
            try:
                answer = call(*args, **kwargs)
                gathered = _gathering.messages
            finally:
                _gathering.messages = None
            deliver(gathered)
            return answer

        return called

    def delete_message(queue: sqs.Queue, receipt_handle: str) -> None:
        gone = [message.id for message in list(queue._messages) if message.had_receipt_handle(receipt_handle)]
        kept.write(*(("messages", queue.name, number, None) for number in gone))
        deletes(queue, receipt_handle)

    def create_queue(backend: sqs.SQSBackend, name: str, *args: Any, **kwargs: Any) -> sqs.Queue:
        there = name in backend.queues
        queue = creates(backend, name, *args, **kwargs)
        for number, document in () if there else kept.all("messages", name):
            message: Any = sqs.Message(number, document["body"])
            for field in MESSAGE_FIELDS:
                setattr(message, field, document[field])
            adds(queue, message)
        return queue

    def purge_queue(backend: sqs.SQSBackend, queue_name: str) -> None:
        kept.write(*(("messages", queue_name, number, None) for number, _ in kept.all("messages", queue_name)))
        purges(backend, queue_name)

    put_in_place(events.EventsBackend, put_events=to_all_targets(events.EventsBackend.put_events))
    to_bus = to_all_targets(s3_notifications._send_event_bridge_message)
    put_in_place(s3_notifications, _send_event_bridge_message=to_bus)
    put_in_place(sqs.Queue, add_message=add_message, delete_message=delete_message)
    put_in_place(sqs.SQSBackend, create_queue=create_queue, purge_queue=purge_queue)


def _message(queue: sqs.Queue, message: sqs.Message) -> Change:
    """A dead letter keeps its number and changes its queue."""
    return ("messages", queue.name, message.id, {name: getattr(message, name) for name in MESSAGE_FIELDS})


# ---------------------------------------------------------------- Secrets Manager
def _keep_secrets(kept: Kept) -> None:
    def put_back(owner: str | None = None) -> None:
        """Makes what is held what is on the disk."""
        for place, document in kept.all("secrets", owner):
            account, region, name = json.loads(place)
            secret: Any = FakeSecret(account, region, name, {}, "")
            for field in (*SECRET_FIELDS, "versions"):
                setattr(secret, field, document[field])
            secret.set_default_version_id(document["version"])
            secretsmanager_backends[account][region].secrets[name] = secret

    put_back()

    def kept_after(call: Callable[[SecretsManagerResponse], str]) -> Callable[[SecretsManagerResponse], str]:
        def called(response: SecretsManagerResponse) -> str:
            answer = call(response)
            store = response.backend.secrets
            known = {place for place, _ in kept.all("secrets", store_name(response))}
            changes = [_secret(store_name(response), secret) for secret in list(dict.values(store))]
            gone = known - {place for _, _, place, _ in changes}
            try:
                kept.write(*changes, *(("secrets", store_name(response), place, None) for place in gone))
            except BaseException:  # the disk is full
                store.clear()
                put_back(store_name(response))
                raise
            return answer

        return called

    for name in ("create_secret", "update_secret", "put_secret_value", "delete_secret", "restore_secret"):
        setattr(SecretsManagerResponse, name, kept_after(getattr(SecretsManagerResponse, name)))


def store_name(response: SecretsManagerResponse) -> str:
    """The owner of an account's secrets in a region."""
    return f"{response.current_account}/{response.region}"


def _secret(owner: str, secret: FakeSecret) -> Change:
    document = {name: getattr(secret, name) for name in SECRET_FIELDS}
    document |= {"versions": secret.versions, "version": secret.default_version_id}
    return ("secrets", owner, json.dumps([secret.account_id, secret.region, secret.name]), document)
