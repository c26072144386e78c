"""Lineage: what was made from what, as OpenLineage run events. It hears of steps by their events and takes no part in them."""
