"""What it adds up to: current state, rebuilt from the events at any time."""
