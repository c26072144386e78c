"""Formats of lake tables."""
