"""What tables are read from."""
