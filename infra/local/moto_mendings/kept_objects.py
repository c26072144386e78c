"""Objects that outlive the embedded AWS: the newest version of each lies in a file of `kept` before anybody can see it."""

from datetime import datetime
from typing import Any

from moto.s3.models import FakeBucket, FakeKey, S3Backend
from moto.s3.utils import _VersionedKeyStore

from infra.local.kept import Kept, StoredFile, in_parts
from infra.local.moto_mendings.edge import put_in_place


class KeptKeys(_VersionedKeyStore):
    """A bucket's objects: whatever becomes the newest of its key is on the disk first."""

    def __init__(self, kept: Kept, bucket: str) -> None:
        super().__init__()
        self._kept, self._bucket = kept, bucket

    def load(self, key: FakeKey) -> None:
        """Puts an object in its place that is on the disk already."""
        dict.__setitem__(self, key.name, [key])

    def setlist(self, key: str, list_: list[Any]) -> None:
        self._become(key, list_[-1] if list_ else None)
        stays, before = {id(one) for one in list_}, self.getlist(key, [])
        super().setlist(key, list_)
        _remove(one for one in before if id(one) not in stays)

    def __setitem__(self, key: str, value: Any) -> None:
        self._become(key, value)
        super().__setitem__(key, value)

    def pop(self, key: str) -> None:
        before = self.getlist(key, [])
        self._kept.write(("objects", self._bucket, key, None))
        super().pop(key)
        _remove(before)

    def _become(self, key: str, newest: Any) -> None:
        """Writes the newest of a key's versions; a delete marker, or none, takes its row out."""
        document, file = None, None
        if isinstance(newest, FakeKey):
            if not isinstance(newest._value_buffer, StoredFile):
                etag = newest.etag.strip('"')  # computed while the bytes are at hand
                file = self._kept.store(in_parts(newest._value_buffer))
                newest._value_buffer.close()
                put_in_place(newest, _value_buffer=file, _etag=etag)
            document = _object(newest)
        try:
            self._kept.write(("objects", self._bucket, key, document))
        except BaseException:
            if file is not None:
                file.remove()
            raise


def _remove(keys: Any) -> None:
    for key in keys:
        if isinstance(getattr(key, "_value_buffer", None), StoredFile):
            key._value_buffer.remove()


def _object(key: Any) -> dict[str, Any]:
    return {
        "file": key._value_buffer.path.name,
        "etag": key._etag,
        "size": key.contentsize,
        "modified": key.last_modified.isoformat(),
        "version": key._version_id,
        "metadata": dict(key._metadata),
    }


def keep_objects(kept: Kept) -> None:
    """Put the replacements for objects in place, in this process."""
    creates, describes = S3Backend.create_bucket, FakeKey.set_metadata

    def create_bucket(backend: S3Backend, bucket_name: str, *args: Any, **kwargs: Any) -> FakeBucket:
        bucket = creates(backend, bucket_name, *args, **kwargs)
        bucket.keys = KeptKeys(kept, bucket_name)
        for name, document in kept.all("objects", bucket_name):
            where = {"account_id": backend.account_id, "region_name": bucket.region_name, "bucket_name": bucket_name}
            key: Any = FakeKey(name, b"", etag=document["etag"], version_id=document["version"], **where)
            key._value_buffer.close()
            key._value_buffer, key.contentsize = kept.find(document["file"]), document["size"]
            key.last_modified = datetime.fromisoformat(document["modified"])
            key._metadata.update(document["metadata"])
            bucket.keys.load(key)
        return bucket

    def set_metadata(key: Any, *args: Any, **kwargs: Any) -> None:
        before = dict(key._metadata)
        describes(key, *args, **kwargs)
        if isinstance(key._value_buffer, StoredFile) and dict(key._metadata) != before:
            try:
                kept.write(("objects", key.bucket_name, key.name, _object(key)))
            except BaseException:
                key._metadata.clear()
                key._metadata.update(before)
                raise

    put_in_place(S3Backend, create_bucket=create_bucket)
    put_in_place(FakeKey, set_metadata=set_metadata)
