"""Silver and gold against plain deltalake, pyiceberg and dlt: merges, histories, models and compaction of one large table."""
