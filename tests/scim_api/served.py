"""An application served over real HTTP from a thread of the test's own process."""

import threading
from contextlib import contextmanager

from werkzeug.serving import WSGIRequestHandler, make_server


class _Quiet(WSGIRequestHandler):
    def log(self, *_):
        pass


@contextmanager
def served(wsgi_app, tls=None):
    """Serve an application; give its URL. `tls` are the files of a certificate and its key."""
    server = make_server(
        "127.0.0.1", 0, wsgi_app, threaded=True, request_handler=_Quiet, ssl_context=tls
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def answering(status, body=b"", **headers):
    """Return an application that answers everything the same; `asked` is what it was sent."""

    def wsgi_app(environ, start_response):
        sent = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        wsgi_app.asked.append((environ["REQUEST_METHOD"], sent, environ.get("HTTP_AUTHORIZATION")))
        fields = [(name.replace("_", "-"), value) for name, value in headers.items()]
        start_response(f"{status} X", [("Content-Length", str(len(body))), *fields])
        return [body]

    wsgi_app.asked = []
    return wsgi_app


def tampering(wsgi_app, alter):
    """Return an application whose answers are altered: `alter` takes path and body."""

    def tampered(environ, start_response):
        started = []
        body = b"".join(wsgi_app(environ, lambda *each: started.append(each)))
        status, headers = started[0][:2]
        body = alter(environ["PATH_INFO"], body)
        kept = [each for each in headers if each[0] != "Content-Length"]
        start_response(status, [*kept, ("Content-Length", str(len(body)))])
        return [body]

    return tampered
