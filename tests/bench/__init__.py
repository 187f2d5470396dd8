"""The cost of a request, compared with a bare Flask application that answers the same bytes."""
