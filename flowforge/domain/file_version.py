"""One version of one file in a bucket: what a load claims, reads and remembers."""

import hashlib

from pydantic import BaseModel, ConfigDict


class FileVersion(BaseModel):
    """`etag` is without its quotes; `version_id` is None where it is not known, as in a listing, and in a bucket without
    versions. `size` is in bytes. `modified` is S3's Last-Modified (ISO 8601, UTC): it is told, it never decides what is new."""

    model_config = ConfigDict(frozen=True)

    bucket: str
    key: str
    etag: str
    size: int
    modified: str = ""
    version_id: str | None = None

    @property
    def address(self) -> str:
        """Where it is, as people write it."""
        return f"s3://{self.bucket}/{self.key}"

    @property
    def place(self) -> tuple[str, str]:
        """Bucket and key, which its later versions share."""
        return self.bucket, self.key

    @property
    def place_id(self) -> str:
        """A short name of its place, for keys of items."""
        return hashlib.sha256(f"{self.bucket}/{self.key}".encode()).hexdigest()[:32]

    def is_same_content(self, other: "FileVersion") -> bool:
        """Whether both are one content at one place: the same version, or else the same ETag and size. An upload that was sent
        twice, to a bucket with versions too, is one content."""
        return self.place == other.place and (self.etag, self.size) == (other.etag, other.size)
