"""Files as a source: what a file is, how its records are told apart, and what its columns could be."""
