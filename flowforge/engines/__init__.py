"""What runs SQL over lake tables."""
