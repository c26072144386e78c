"""Gold: published copies of silver tables, and SQL models over them."""
