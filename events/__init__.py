"""The contracts between users, functions and the bus. They depend on pydantic and nothing else."""
