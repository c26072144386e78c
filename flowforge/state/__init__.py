"""What FlowForge remembers: watermarks and batches, runs, connections (DynamoDB)."""
