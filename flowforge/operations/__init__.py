"""What a person does after something went wrong: puts messages back, compares with the source, rebuilds what was lost."""
