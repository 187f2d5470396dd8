"""What a request costs, beside a bare Flask application that answers the same bytes."""
