"""Makes a small ledger with an earlier program: python make.py CHECKOUT FILE.tar.xz.

CHECKOUT is a work tree of the commit that is to write it; the dependencies are those of the Python
that runs this. What that program cannot do yet is left out.
"""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from contextlib import suppress
from pathlib import Path

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


def main(checkout: str, target: str) -> None:
    """Write the folder of a ledger: users, a group, configuration, and what came later."""
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
        probe.close()
        env = {**os.environ, "PYTHONPATH": checkout, "SCIM_DATA_DIR": folder, "PORT": str(port)}
        program = [sys.executable, "-c", "from app import main; main()"]

        def run(*words: str) -> str:
            done = subprocess.run(
                [*program, *words, "--ledger", "acme"],
                env=env,
                cwd=checkout,
                capture_output=True,
                text=True,
                check=False,
            )
            print(*words, "->", done.returncode, done.stderr.strip()[:200])
            return done.stdout

        run("init")
        token = json.loads(run("token", "create", "okta", "--json"))["token"]
        run("role", "add", "admin")
        run("attribute", "require", "displayName")
        with subprocess.Popen([*program, "serve"], env=env, cwd=checkout) as service:
            _provision(port, token)
            run("hold", "user0@example.com", "--reason", "litigation", "--ticket", "CASE-7")
            run("erase", "user5@example.com", "--reason", "gdpr-17", "--ticket", "PRIV-1")
            service.send_signal(signal.SIGTERM)
        run("key", "rotate")
        run("tree-head", "create")
        run("verify")
        _pack(Path(folder) / "acme", Path(target))


def _provision(port: int, token: str) -> None:
    for _ in range(100):
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port)).close()
            break
        time.sleep(0.2)

    def ask(method: str, path: str, body: object = None) -> dict:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/scim+json"}
        connection.request(method, f"/scim/v2{path}", json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read()
        print(method, path, "->", answer.status)
        return json.loads(text) if text else {}

    people = [
        ask(
            "POST",
            "/Users",
            {
                "schemas": [USER],
                "userName": f"user{n}@example.com",
                "displayName": f"User {n}",
                "emails": [{"value": f"user{n}@example.com", "type": "work", "primary": True}],
            },
        )["id"]
        for n in range(6)
    ]
    members = [{"value": each} for each in people[:3]]
    ask("POST", "/Groups", {"schemas": [GROUP], "displayName": "Team", "members": members})
    for n, path, value in ((1, "title", "Engineer"), (2, "active", False), (2, "active", True)):
        operation = {"op": "replace", "path": path, "value": value}
        ask("PATCH", f"/Users/{people[n]}", {"schemas": [PATCH], "Operations": [operation]})
    ask("DELETE", f"/Users/{people[4]}")


def _pack(folder: Path, target: Path) -> None:
    """Keep the ledger, its key and its head: what else was there can be made again."""
    with tarfile.open(target, "w:xz") as archive:
        for name in ("ledger.db", "signing.key", "signing.head"):
            if (folder / name).exists():
                archive.add(folder / name, f"acme/{name}", filter=_nobody)


def _nobody(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    return member


if __name__ == "__main__":
    main(*sys.argv[1:])
