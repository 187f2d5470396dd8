"""Erasing a person: what mentions them, the plan, and the rewriting of the files."""
