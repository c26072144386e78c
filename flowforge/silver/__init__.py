"""Silver: one Delta table per source table, refined batch by batch from bronze."""
