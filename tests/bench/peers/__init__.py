"""Other SCIM servers, where they are installed: `make .venv/peers` tries to."""
