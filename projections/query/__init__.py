"""A list query: its model, its meaning in memory and in SQL."""
