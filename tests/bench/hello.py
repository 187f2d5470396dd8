"""The bare Flask application that everything is compared with, under gunicorn as it comes.

gunicorn -k gthread --workers 2 --threads 4 tests.bench.hello:app
"""

from flask import Flask, Response

from tests.bench import people, wire

BODY = wire.json_bytes(people.created(1))  # about 1 KB

app = Flask("hello", static_folder=None)


@app.get("/hello")
def hello() -> Response:
    """Answer bytes that are there already."""
    return Response(BODY, content_type="application/json")
