"""Alerts: what a person should hear of, told to a webhook or to Slack; it takes no part in any run."""
