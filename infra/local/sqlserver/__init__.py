"""A SQL Server stand-in for demos, tests and benchmarks: TDS 7.4 on loopback, DuckDB behind it, sqlglot for T-SQL.

Real drivers connect to it. It is not SQL Server: what it cannot do it refuses with error 40517 or SQL Server's own
number, rather than answer something else. Start it with `python -m infra.local.sqlserver --bank --port 0`.

    packets, tokens, parameters, encode, rare_types   the wire
    login, certificate, connection                    how a client comes in and asks
    session, transactions, script, procedures         what a request does
    dialect, queries, expressions, functions,         T-SQL to DuckDB, with SQL Server's types
    date_functions, conversion, macros, changes
    definitions, catalog, system_views                tables and what is known about them
    bank                                              the sample data
"""
