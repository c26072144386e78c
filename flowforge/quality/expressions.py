"""Conditions that users write as SQL: what may be in one.

Guarantees: pure. One expression over the row's own columns passes, which gives one value for each row; a query, a table, an
aggregate, `*` and COLUMNS, unnest, and any function that could read, write or reveal something else do not. DuckDB's own
reading is compared before it is judged (`second_reading.check_condition`), and the connection that evaluates it is confined
besides.
"""

from sqlglot import exp

from flowforge.lake.parsing import NotAllowed, parse
from flowforge.lake.statements import REVEALING

NOT_OF_A_ROW = (
    exp.Query,
    exp.Subquery,
    exp.Table,
    exp.AggFunc,
    exp.Window,
    exp.Placeholder,
    exp.Parameter,
    exp.Command,
    exp.Star,
    exp.Columns,
    exp.UDTF,
    exp.Explode,
)
# DuckDB's aggregates and window functions (duckdb_functions(), 1.5.5) and what makes several rows of one: sqlglot knows
# some of them only.
NOT_SCALAR = {
    "any_value", "approx_count_distinct", "approx_quantile", "approx_top_k", "arbitrary", "arg_max", "arg_max_null",
    "arg_max_nulls_last", "arg_min", "arg_min_null", "arg_min_nulls_last", "argmax", "argmin", "array_agg", "avg", "bit_and",
    "bit_or", "bit_xor", "bitstring_agg", "bool_and", "bool_or", "corr", "count", "count_if", "count_star", "countif",
    "covar_pop", "covar_samp", "cume_dist", "dense_rank", "entropy", "favg", "fill", "first", "first_value", "fsum",
    "group_concat", "histogram", "histogram_exact", "kahan_sum", "kurtosis", "kurtosis_pop", "lag", "last", "last_value",
    "lead", "list", "listagg", "mad", "max", "max_by", "mean", "median", "min", "min_by", "mode", "nth_value", "ntile",
    "percent_rank", "product", "quantile", "quantile_cont", "quantile_disc", "rank", "rank_dense", "regr_avgx", "regr_avgy",
    "regr_count", "regr_intercept", "regr_r2", "regr_slope", "regr_sxx", "regr_sxy", "regr_syy", "reservoir_quantile",
    "row_number", "sem", "skewness", "stddev", "stddev_pop", "stddev_samp", "string_agg", "sum", "sum_no_overflow",
    "sumkahan", "unnest", "var_pop", "var_samp", "variance",
}  # fmt: skip


def check_expression(sql: str) -> str:
    """The expression in parentheses, ready to stand in a SELECT; raises NotAllowed with what is in the way."""
    text = f"({sql}\n)"  # the line break ends a comment
    found = parse(text)
    if len(found) != 1 or not isinstance(found[0], exp.Paren) or isinstance(found[0].this, exp.Alias):
        raise NotAllowed("expected one condition over the row's columns")
    for node in found[0].walk():
        if isinstance(node, NOT_OF_A_ROW):
            raise NotAllowed(f"{node.key} is not allowed: a rule looks at one row at a time, and gives one answer")
        if isinstance(node, exp.Func):
            name = (node.name if isinstance(node, exp.Anonymous) else node.sql_name()).lower()
            if REVEALING.fullmatch(name):
                raise NotAllowed(f"the function {name} is not allowed: a rule looks at its row only")
            if name in NOT_SCALAR:
                raise NotAllowed(f"{name} is not allowed: a rule looks at one row at a time, and gives one answer")
    return text
