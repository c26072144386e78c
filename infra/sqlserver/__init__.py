"""A SQL Server stand-in for demos, tests and benchmarks: TDS 7.4 on loopback, DuckDB behind it, sqlglot for T-SQL.

Real drivers connect to it. It is not SQL Server: what it cannot do it refuses with error 40517 or SQL Server's own
number, rather than answer something else. Start it with `python -m infra.sqlserver --bank --port 0`. README.md says
which file does what, and what differs from SQL Server on purpose.
"""
