"""Current state: resources, memberships, configuration and credentials, kept with the events."""
