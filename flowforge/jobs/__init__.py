"""From a job request to one command per table."""
