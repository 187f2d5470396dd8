"""The auditor's handbook: the company it tells of, and the running of what it shows."""
