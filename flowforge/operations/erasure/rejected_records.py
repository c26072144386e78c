"""Records of files that did not land, where their text may be of the person: the text goes, place and reason stay.

Their key was perhaps never read, so the values are looked for in the text: as words of their own, in any case. Where a value may
be written in many ways (a date, bytes), the text of every reject of the table goes: the files themselves still have it.
"""

import io

import pyarrow as pa
import pyarrow.parquet as pq

from flowforge.aws.clients import aws_errors, client
from flowforge.bronze.keys import folders
from flowforge.bronze.upload import KeyTaken, ObjectWriter
from flowforge.domain.errors import StoreUnavailable
from flowforge.operations.erasure.bronze_objects import keys_below
from flowforge.operations.erasure.subject import Subject

RAW = "raw"


def rejects_of(bucket: str, bronze_table: str) -> list[str]:
    """The keys of a table's objects of rejects."""
    prefixes = ["rejected/" + folder.removeprefix("bronze/") for folder in folders(bronze_table)]
    return [one["Key"] for prefix in prefixes for one in keys_below(bucket, prefix) if one["Key"].endswith(".parquet")]


def texts_of(subject: Subject, bucket: str, key: str, erase: bool) -> int:
    """How many rejects of an object have a text that may be of the person; with `erase` they have none afterwards.

    Raises StoreUnavailable where the object was replaced meanwhile.
    """
    s3 = client("s3")
    with aws_errors("S3"):
        found = s3.get_object(Bucket=bucket, Key=key)
        rows = pq.read_table(io.BytesIO(found["Body"].read()))
    if RAW not in rows.column_names:
        return 0
    patterns = subject.texts()
    raw = rows.column(RAW).to_pylist()
    theirs = [text is not None and (patterns is None or all(one.search(text) for one in patterns)) for text in raw]
    if erase and any(theirs):
        place = rows.column_names.index(RAW)
        kept = pa.array([None if gone else text for gone, text in zip(theirs, raw, strict=True)], pa.string())
        rows = rows.set_column(place, rows.schema.field(place), kept)
        try:
            with ObjectWriter(s3, bucket, key, {"IfMatch": found["ETag"]}, found["Metadata"]) as writer:
                pq.write_table(rows, pa.PythonFile(writer, mode="w"), compression="zstd")
                writer.finish()
        except KeyTaken as error:
            raise StoreUnavailable(f"s3://{bucket}/{key} was replaced meanwhile", "Run the command again.") from error
    return sum(theirs)
