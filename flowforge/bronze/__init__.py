"""Bronze: a batch as Parquet objects, whole or not at all."""
