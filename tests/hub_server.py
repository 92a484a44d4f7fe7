"""A stand-in for the Hugging Face hub: repositories in memory, over its HTTP API."""

import base64
import contextlib
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "hf_stand_in"


class Hub:
    """Repositories by name, each a list of commits ``(oid, {path: bytes})``."""

    def __init__(self):
        self.repositories = {}
        self.private = {}
        self.requests = []
        self.down = False


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    @property
    def hub(self):
        return self.server.hub

    def answer(self, status, content=b"", headers=(), head=False):
        if not isinstance(content, bytes):
            content = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **dict(headers)}.items():
            self.send_header(name, value)
        self.end_headers()
        if not head:
            self.wfile.write(content)

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def do_POST(self):
        self.hub.requests.append(self.path)
        body = self.body()
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.answer(401, {"error": "Invalid username or password."})
        if self.path == "/api/validate-yaml":
            content = json.loads(body)["content"]
            errors = [] if content.startswith("---\n") else [{"message": "no YAML header"}]
            return self.answer(400 if errors else 200, {"errors": errors, "warnings": []})
        if self.path == "/api/repos/create":
            given = json.loads(body)
            name = f"{given.get('organization') or 'me'}/{given['name'].rpartition('/')[2]}"
            known = name in self.hub.repositories
            self.hub.repositories.setdefault(name, [])
            private = given.get("private") or given.get("visibility") == "private"
            self.hub.private.setdefault(name, bool(private))
            status = 409 if known else 200
            return self.answer(status, {"url": f"https://huggingface.co/{name}", "error": "exists"})
        name = "/".join(self.path.split("/")[3:5])
        if "/preupload/" in self.path:
            files = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                for file in json.loads(body)["files"]
            ]
            return self.answer(200, {"files": files})
        if "/commit/" in self.path:
            lines = [json.loads(line) for line in body.splitlines()]
            commits = self.hub.repositories[name]
            files = dict(commits[-1][1]) if commits else {}
            for line in lines:
                if line["key"] == "file":
                    files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            oid = hashlib.sha1(body).hexdigest()
            commits.append((oid, files))
            url = f"https://huggingface.co/{name}/commit/{oid}"
            return self.answer(200, {"success": True, "commitOid": oid, "commitUrl": url})
        return self.answer(404, {"error": "not found"})

    def commit(self, name, revision):
        commits = self.hub.repositories.get(name)
        if not commits:
            return None
        if revision == "main":
            return commits[-1]
        return next((commit for commit in commits if commit[0] == revision), None)

    def do_HEAD(self):
        self.do_GET(head=True)

    def do_GET(self, head=False):
        self.hub.requests.append(self.path)
        if self.hub.down:
            return self.answer(503, {"error": "down"}, head=head)
        parts = self.path.split("?")[0].strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            name = "/".join(parts[2:4])
            found = self.commit(name, parts[5] if len(parts) > 5 else "main")
            if found is None:
                missing = {"X-Error-Code": "RepoNotFound"}
                if name in self.hub.repositories:
                    missing = {"X-Error-Code": "RevisionNotFound"}
                return self.answer(404, {"error": "not found"}, missing, head)
            if len(parts) > 4 and parts[4] == "tree":
                tree = [
                    {"type": "file", "path": path, "size": len(data), "oid": sha(data)}
                    for path, data in found[1].items()
                ]
                return self.answer(200, tree, head=head)
            siblings = [{"rfilename": path} for path in found[1]]
            return self.answer(200, {"id": name, "sha": found[0], "siblings": siblings}, head=head)
        name, revision, path = "/".join(parts[:2]), parts[3], "/".join(parts[4:])
        found = self.commit(name, revision)
        if found is None or path not in found[1]:
            return self.answer(404, b"", {"X-Error-Code": "EntryNotFound"}, head)
        headers = {"X-Repo-Commit": found[0], "ETag": f'"{sha(found[1][path])}"'}
        return self.answer(200, found[1][path], headers, head)


def sha(data):
    return hashlib.sha1(data).hexdigest()


@contextlib.contextmanager
def running():
    """The hub and its address, within the block."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.hub = Hub()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.hub, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
