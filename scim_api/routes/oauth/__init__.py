"""OAuth 2 over HTTP: the pages and endpoints of the authorization server."""
