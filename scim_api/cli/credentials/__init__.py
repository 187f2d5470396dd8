"""Commands about what authenticates requests: tokens, OAuth clients and their consents."""
