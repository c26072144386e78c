"""AWS adapters: bus, queues, secrets, key-value items. Endpoints and credentials are boto's own environment variables."""
