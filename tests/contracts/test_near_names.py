"""A name that is not there is answered with those that may have been meant, and never with all of a thousand."""

from flowforge.domain.near import meant

LAKE = ["bronze.bronze_orders", "gold.orders", "silver.customers", "silver.orders"]


def test_should_name_what_is_alike_in_whatever_layer_and_case():
    assert meant("silver.ordrs", LAKE, "") == "did you mean gold.orders, silver.orders?"
    assert meant("Customers", LAKE, "") == "did you mean silver.customers?"
    assert meant("brnch", ["dbo.Branch", "bronze_t"], "") == "did you mean dbo.Branch?"


def test_should_name_the_first_where_none_is_alike_and_say_how_many_more_there_are():
    assert meant("x", LAKE, "") == f"there are: {', '.join(LAKE)}"
    many = [f"silver.t{n:04}" for n in range(1000)]
    told = meant("silver.customers", many, "")
    assert told.startswith("there are: silver.t0000, ") and told.endswith("silver.t0019, and 980 more")
    assert meant("x", [], "Load one.") == "Load one."
