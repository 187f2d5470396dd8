"""OAuth 2: clients, consents and the tokens they get. No module here knows Flask."""
