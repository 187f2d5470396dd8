"""What auditors ask: timelines, causes, differences, and who set a value."""
