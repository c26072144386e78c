"""The demonstration: the whole chain on the sample bank, checked against the source row by row."""
