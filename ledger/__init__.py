"""What happened: immutable events in a file that proves it was not altered."""
