"""Whether a store honours conditional writes: tried, not assumed.

Two commits of one Delta version, or two objects of one batch, are kept apart by `If-None-Match: *` alone, and a lineage event is
replaced by `If-Match`. A store that ignores these headers answers 200 to both writers, and one of them is lost in silence.

The keys tried are below a folder that is no table; the object there stays, since the functions may not delete in bronze.
"""

import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from botocore.exceptions import ClientError

from flowforge.aws import items
from flowforge.aws.clients import aws_errors, client, error_code
from flowforge.domain.errors import UnfitStore
from flowforge.runtime.deployment import current
from flowforge.runtime.settings import settings

FOLDER = "bronze/_probe/"
REFUSED = ("PreconditionFailed", "412", "ConditionalRequestConflict", "409")
NOT_THERE = (
    "NotImplemented",
    "501",
    "InvalidArgument",
    "InvalidRequest",
    "405",
    "MethodNotAllowed",
)  # it knows no such header
SOMEBODY_ELSES_ETAG = '"00000000000000000000000000000000"'
WRITERS, ROUNDS = 4, 3
REMEDY = "Use a store that honours If-None-Match and If-Match on PUT and on the completion of multipart uploads, as AWS S3 does."
STORE = "STORE"


def prove_once(bucket: str) -> None:
    """Proves the store before the first write of a deployment, which remembers it. Raises UnfitStore, StoreUnavailable."""
    current().once(("conditional writes", bucket), partial(_prove_and_remember, bucket))


def _prove_and_remember(bucket: str) -> None:
    s3 = client("s3")
    key = {"pk": STORE, "sk": f"{s3.meta.endpoint_url}/{bucket}"}
    if items.get(settings().watermarks_table, key) is None:
        prove(s3, bucket)
        items.put(settings().watermarks_table, {**key, "proved_at": int(time.time())})


def prove(s3: Any, bucket: str) -> None:
    """Writes to a key that is taken, in every way that the product does; raises UnfitStore where the store lets it.

    Raises StoreUnavailable where it cannot be asked.
    """
    where, store = {"Bucket": bucket, "Key": f"{FOLDER}conditional-writes"}, _named(s3, bucket)

    def refuses(what: str, write: Callable[[], None]) -> bool:
        return _refuses(store, what, write)

    def put() -> None:
        _put(s3, where, IfNoneMatch="*")

    # The first may find the key free; for the second it is taken.
    if not (refuses("PUT with If-None-Match", put) or refuses("PUT with If-None-Match", put)):
        raise UnfitStore(f"{store} ignores If-None-Match: a PUT went over an object that was there", REMEDY)
    if not refuses("PUT with If-Match", lambda: _put(s3, where, IfMatch=SOMEBODY_ELSES_ETAG)):
        raise UnfitStore(f"{store} ignores If-Match: a PUT went over an object that had another ETag", REMEDY)
    if not refuses("completion with If-None-Match", lambda: _complete(s3, where)):
        raise UnfitStore(f"{store} ignores If-None-Match when a multipart upload is completed", REMEDY)


def race(s3: Any, bucket: str) -> None:
    """Has several writers create one key at the same moment, a few times; raises UnfitStore where more than one succeeds.

    It needs the right to delete below bronze/_probe/, which a person has and the functions have not.
    """
    store = _named(s3, bucket)
    with ThreadPoolExecutor(WRITERS) as pool:
        for _ in range(ROUNDS):
            where = {"Bucket": bucket, "Key": f"{FOLDER}race-{uuid.uuid4().hex}"}
            refused = list(pool.map(partial(_is_late, s3, store), [where] * WRITERS))
            with aws_errors("S3"):
                s3.delete_object(**where)
            if refused.count(False) != 1:
                won = f"{refused.count(False)} of {WRITERS} writers"
                raise UnfitStore(f"{store}: {won} created one key at the same moment", REMEDY)


def _named(s3: Any, bucket: str) -> str:
    return f"the store of bucket {bucket} at {s3.meta.endpoint_url}"


def _is_late(s3: Any, store: str, where: dict[str, str]) -> bool:
    return _refuses(store, "PUT with If-None-Match", lambda: _put(s3, where, IfNoneMatch="*"))


def _refuses(store: str, what: str, write: Callable[[], None]) -> bool:
    """Whether a write is refused because of its condition."""
    with aws_errors("S3"):
        try:
            write()
            return False
        except ClientError as error:
            if error_code(error) in REFUSED:
                return True
            if error_code(error) in NOT_THERE:
                raise UnfitStore(f"{store} does not know {what}: {error}", REMEDY) from error
            raise


def _put(s3: Any, where: dict[str, str], **condition: str) -> None:
    s3.put_object(**where, Body=b"Tells whether this store honours conditional writes.", **condition)


def _complete(s3: Any, where: dict[str, str]) -> None:
    upload = where | {"UploadId": s3.create_multipart_upload(**where)["UploadId"]}
    completed = False
    try:
        part = {"PartNumber": 1, "ETag": s3.upload_part(**upload, PartNumber=1, Body=b"another object")["ETag"]}
        s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": [part]}, IfNoneMatch="*")
        completed = True
    finally:
        if not completed:
            _abort(s3, upload)


def _abort(s3: Any, upload: dict[str, str]) -> None:
    try:
        s3.abort_multipart_upload(**upload)
    except (
        ClientError
    ):  # some stores end an upload whose completion they refuse; what is left the bucket's lifecycle removes
        return
