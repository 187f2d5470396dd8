"""How the world asks: SCIM 2.0 over HTTP, the only room that knows the web."""
