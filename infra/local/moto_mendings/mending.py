"""All mendings, in the order in which one goes around the other, for the one version of moto that they were written for.

Beside those of the other modules: moto lets every page read its answers (CORS), walks through its own source tree for each
request, lets two DynamoDB calls run into each other, and between the check of a conditional write to S3 and the write another in.
"""

import functools
import threading
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from moto.core import responses
from moto.core.utils import method_names_from_class
from moto.dynamodb.responses import DynamoHandler
from moto.moto_server import werkzeug_app
from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from moto.s3.models import S3Backend
from moto.s3.responses import S3Response

from infra.local.kept import Kept
from infra.local.moto_mendings.answers import answer_by_name
from infra.local.moto_mendings.edge import put_in_place
from infra.local.moto_mendings.events import deliver_as_documented
from infra.local.moto_mendings.expressions import write_items_quickly
from infra.local.moto_mendings.keeping import keep_all_but_items, keep_items
from infra.local.moto_mendings.memory import keep_only_what_is_there
from infra.local.moto_mendings.messages import keep_messages_under_lock
from infra.local.moto_mendings.objects import store_without_copies
from infra.local.moto_mendings.orders import keep_orders
from infra.local.moto_mendings.requests import read_requests_once
from infra.local.moto_mendings.searches import look_no_further

VERSION = "5.2.5"


def require_version(installed: str) -> None:
    """Refuse a moto whose inside may differ: a mending that no longer fits loses messages or items in silence."""
    if installed != VERSION:
        raise RuntimeError(
            f"moto {installed} is installed, and infra/local/moto_mendings mends {VERSION}: install that version, or run"
            " tests/local_stack with the new one, drop what it no longer needs and change VERSION"
        )


def one_at_a_time(function: Callable, lock: threading.RLock) -> Callable:
    """Wrap a function so that no two of those that share the lock run at once."""

    def locked(*args: Any, **kwargs: Any) -> Any:
        with lock:
            return function(*args, **kwargs)

    return locked


def mend_moto(kept: Kept | None = None) -> None:
    """Put all replacements in place, in this process; with `kept`, what is held is kept there.

    Raises RuntimeError for another version of moto.
    """
    require_version(version("moto"))
    werkzeug_app.DISABLE_GLOBAL_CORS = True  # else every answer tells every page that it may read it
    # What a request's host and class say never changes, but for each request moto walks through its own source tree.
    DomainDispatcherApplication.get_backend_for_host = functools.cache(DomainDispatcherApplication.get_backend_for_host)
    put_in_place(responses, method_names_from_class=functools.cache(method_names_from_class))
    keep_messages_under_lock()
    look_no_further()
    answer_by_name()
    write_items_quickly()
    read_requests_once()
    if kept is not None:
        keep_items(kept)
    keep_orders()
    put_in_place(DynamoHandler, call_action=one_at_a_time(DynamoHandler.call_action, threading.RLock()))
    writing = threading.RLock()
    for owner, name in ((S3Response, "put_object"), (S3Response, "_key_response_post"), (S3Backend, "list_objects")):
        setattr(owner, name, one_at_a_time(getattr(owner, name), writing))
    store_without_copies()
    keep_only_what_is_there()
    deliver_as_documented()
    if kept is not None:
        keep_all_but_items(kept)
