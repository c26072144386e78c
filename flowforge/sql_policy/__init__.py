"""What users' SQL may do."""
