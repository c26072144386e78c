"""Erasure of the rows of one person: found and taken out of every layer of one table."""
