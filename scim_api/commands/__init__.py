"""Commands of the service and of what its operator configures."""
