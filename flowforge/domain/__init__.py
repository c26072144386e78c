"""Pure values and rules, and the error tree: no input, no output."""
