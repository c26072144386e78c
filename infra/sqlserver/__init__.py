"""A SQL Server stand-in for demos, tests and benchmarks: TDS 7.4 on loopback, DuckDB behind it, sqlglot for T-SQL.

Real drivers connect to it. It is not SQL Server: what it cannot do it refuses with error 40517 or SQL Server's own
number, rather than answer something else. Start it with `python -m infra.sqlserver --bank --port 0`.

    server, __main__                          listens; one thread per client
    connection, reply, login, certificate     how a client comes in and asks
    packets, tokens, parameters, encode,      the wire
    rare_types
    session, statements, execution, writing,  what a request does
    transactions, procedures, script, sink,
    clock
    faults, profiles                          what it does wrong, and which other servers it acts, when asked to
    dialect, queries, sources, scopes,        T-SQL to DuckDB, with SQL Server's types
    expressions, arithmetic, patterns,
    functions/, values, conversion, moments,
    constants, macros, changes, assignments,
    table_functions, variables
    definitions, alterations, table_reader,   tables and what is known about them
    token_reader, tables, catalog,
    constraints, system_views, live_views,
    view_text
    bank, typezoo                             sample data
    types, errors                             used everywhere

What differs from SQL Server on purpose: `transactions.py` says how locking and isolation do.
"""
