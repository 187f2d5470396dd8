"""The OpenAPI document, built from the declarations."""
