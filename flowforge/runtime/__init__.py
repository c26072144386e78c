"""What a function runs in: its settings, HTTP answers, the time that is left."""
