"""Delta Lake: tables, files, commits. The only room that writes them."""
