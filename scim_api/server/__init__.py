"""What runs the service: gunicorn's configuration and worker, and the health checks."""
