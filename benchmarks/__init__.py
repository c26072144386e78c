"""How fast, and at what cost, a SQL Server table becomes Parquet in S3: FlowForge beside other tools, on one machine."""
