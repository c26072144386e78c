"""Names of bronze objects: they follow from the batch alone, so that every attempt writes the same ones."""

from flowforge.domain.batch import Batch

CLAIM = "claim"  # metadata of an object of rejects: which batch has written it


def folders(bronze_table: str) -> tuple[str, str]:
    """Where the objects of a bronze table are: those with its rows, and those with keys alone, which are no rows of it."""
    return f"bronze/{bronze_table}/", f"bronze/_keys/{bronze_table}/"


def bronze_key(batch: Batch, index: int | None = None) -> str:
    """The object key of a batch, or of one of its slices."""
    stem = f"{folders(batch.command.bronze.table)[batch.only_keys]}{batch.label}"
    if index is None or batch.slices is None:
        return f"{stem}.parquet"
    return f"{stem}/part-{index:05d}-of-{len(batch.slices.ranges):05d}.parquet"


def rejected_key(batch: Batch, index: int | None = None) -> str:
    """The object of the records that did not land, of a batch's files or of one of its slices."""
    return "rejected/" + bronze_key(batch, index).removeprefix("bronze/")


def rejected_place(bronze_table: str, label: str) -> str:
    """Where the records of a batch that did not land are: at this key with `.parquet`, or in slices in a folder of this name."""
    return f"rejected/{bronze_table}/{label}"


def rejected_keys(batch: Batch) -> list[str]:
    """The keys of all such objects that a batch can ever have."""
    return ["rejected/" + key.removeprefix("bronze/") for key in bronze_keys(batch)]


def bronze_keys(batch: Batch) -> list[str]:
    """The keys of all objects that a batch can ever have."""
    return [bronze_key(batch, n) for n in range(len(batch.slices.ranges))] if batch.slices else [bronze_key(batch)]
