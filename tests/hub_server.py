"""A stand-in of the Hugging Face Hub: as much of its HTTP as its client needs for models."""

import base64
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha1, sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

#: Who a token belongs to; another one's models can't be written.
OWNERS = {"hf_anna": "anna", "hf_ben": "ben"}
Files = dict[str, bytes]


@dataclass
class Model:
    """A repository: its commits, oldest first, and what its branches and tags point to."""

    private: bool = False
    gated: bool = False
    commits: dict[str, Files] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)

    def commit(self, files: Files, branch: str = "main") -> str:
        """Add a commit of these files; return its id."""
        told = repr((sorted(files.items()), len(self.commits)))
        made = sha1(told.encode(), usedforsecurity=False).hexdigest()
        self.commits[made] = files
        self.refs[branch] = made
        return made

    @property
    def files(self) -> Files:
        """What the newest commit holds."""
        return self.commits[self.refs["main"]]


class HubServer(ThreadingHTTPServer):
    """The models there are, what was sent, and what is to go wrong."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.models: dict[str, Model] = {}
        self.stored: Files = {}
        """large files by their SHA-256"""
        self.sent: list[bytes] = []
        """headers, without tokens, and bodies of all requests"""
        self.asked: list[str] = []
        """methods and paths"""
        self.cut: int | None = None
        """bytes of a download after which its connection breaks off"""
        self.broken = False
        """whether downloads are answered with 500"""
        self.before_commit: Any = None
        """called once, before the next commit"""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def model(self, name: str, **more: bool) -> Model:
        """A new model with the first commit that the hub makes."""
        made = self.models[name] = Model(**more)
        made.commit({".gitattributes": b"*.safetensors filter=lfs\n"})
        return made

    def downloads(self) -> list[str]:
        """The names of the files that were fetched."""
        return [
            line.rpartition("/")[2]
            for line in self.asked
            if line.startswith("GET /") and "/resolve/" in line
        ]


@contextmanager
def hub_server() -> Iterator[HubServer]:
    """Run a stand-in of the hub in a thread."""
    with HubServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class _RefusedError(Exception):
    def __init__(self, status: int, code: str = "", message: str = "") -> None:
        super().__init__(status)
        self.status, self.code, self.message = status, code, message


class _Handler(BaseHTTPRequestHandler):
    server: HubServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._handle()

    do_HEAD = do_POST = do_PUT = do_GET

    def _handle(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            self.body = b"".join(self._chunks())
        else:
            self.body = self.rfile.read(length)
        kept = [f"{key}: {value}" for key, value in self.headers.items() if key != "Authorization"]
        self.server.sent.append("\n".join(kept).encode() + b"\n" + self.body)
        path = unquote(urlsplit(self.path).path)
        self.server.asked.append(f"{self.command} {path}")
        try:
            self._routed(path)
        except _RefusedError as refused:
            told = json.dumps({"error": refused.message}).encode()
            codes = {"X-Error-Code": refused.code, "X-Error-Message": refused.message}
            self._answer(told, refused.status, {key: text for key, text in codes.items() if text})

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _routed(self, path: str) -> None:
        for pattern, method in _ROUTES.items():
            found = re.fullmatch(pattern, f"{self.command} {path}")
            if found:
                getattr(self, method)(*found.groups())
                return
        raise _RefusedError(404, message=f"{self.command} {path}")

    def _user(self) -> str | None:
        given = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if given and given not in OWNERS:
            raise _RefusedError(401, message="Invalid credentials in Authorization header")
        return OWNERS.get(given)

    def _model(self, name: str) -> Model:
        user, model = self._user(), self.server.models.get(name)
        hidden = model is not None and model.private and user != name.partition("/")[0]
        if model is None or hidden:
            raise _RefusedError(404 if user else 401, "RepoNotFound", "Repository not found")
        return model

    def _at(self, model: Model, revision: str) -> tuple[str, Files]:
        commit = model.refs.get(revision, revision)
        if commit not in model.commits:
            raise _RefusedError(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return commit, model.commits[commit]

    def _may_write(self, name: str) -> None:
        user = self._user()
        if user is None:
            raise _RefusedError(401, message="Invalid username or password.")
        if user != name.partition("/")[0]:
            raise _RefusedError(403, message=f"You don't have the rights to write to {name}")

    def create(self) -> None:
        asked = json.loads(self.body)
        name = f"{asked['organization']}/{asked['name']}"
        self._may_write(name)
        private = asked.get("private") or asked.get("visibility") == "private"
        self.server.model(name, private=private)
        self._json({"url": f"{self.server.url}/{name}"})

    def info(self, name: str, revision: str | None = None) -> None:
        model = self._model(name)
        commit, files = self._at(model, revision or "main")
        names = [{"rfilename": path} for path in files]
        self._json({"id": name, "sha": commit, "private": model.private, "siblings": names})

    def tree(self, name: str, revision: str) -> None:
        _, files = self._at(self._model(name), revision)
        self._json(
            [
                {"type": "file", "path": path, "size": len(content), "oid": _blob(content)}
                for path, content in files.items()
            ]
        )

    def validate(self) -> None:
        if re.search(r"^license: \"nonsense\"$", json.loads(self.body)["content"], re.MULTILINE):
            told = {"errors": [{"message": '"license" must be one of [apache-2.0, mit, ...]'}]}
            self._answer(json.dumps(told).encode(), 400, {})
            return
        self._json({"warnings": [], "errors": []})

    def preupload(self, name: str, revision: str) -> None:
        self._may_write(name)
        _, files = self._at(self._model(name), revision)
        self._json(
            {
                "files": [
                    {
                        "path": one["path"],
                        "uploadMode": "lfs"
                        if one["path"].endswith((".safetensors", ".jpg"))
                        else "regular",
                        "shouldIgnore": False,
                        "oid": _blob(files[one["path"]]) if one["path"] in files else None,
                    }
                    for one in json.loads(self.body)["files"]
                ]
            }
        )

    def batch(self, name: str) -> None:
        self._may_write(name)
        self._json(
            {
                "transfer": "basic",
                "objects": [
                    {
                        "oid": one["oid"],
                        "size": one["size"],
                        "actions": {
                            "upload": {
                                "href": f"{self.server.url}/stored/{one['oid']}",
                                "header": {},
                            }
                        },
                    }
                    for one in json.loads(self.body)["objects"]
                ],
            }
        )

    def store(self, digest: str) -> None:
        if sha256(self.body).hexdigest() != digest:
            raise _RefusedError(400, message="wrong digest")
        self.server.stored[digest] = self.body
        self._answer(b"", 200, {})

    def commit(self, name: str, revision: str) -> None:
        self._may_write(name)
        model = self._model(name)
        if self.server.before_commit is not None:
            before, self.server.before_commit = self.server.before_commit, None
            before()
        commit, files = self._at(model, revision)
        files = dict(files)
        for line in self.body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "header" and value.get("parentCommit", commit) != commit:
                raise _RefusedError(412, message="A commit has happened since. Please refresh.")
            if entry["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            if entry["key"] == "lfsFile":
                files[value["path"]] = self.server.stored[value["oid"]]
            if entry["key"] == "deletedFile":
                del files[value["path"]]
        made = model.commit(files, revision)
        self._json({"commitUrl": f"{self.server.url}/{name}/commit/{made}", "commitOid": made})

    def resolve(self, name: str, revision: str, path: str) -> None:
        model = self._model(name)
        if model.gated:
            raise _RefusedError(403, "GatedRepo", "Access to this model is restricted")
        commit, files = self._at(model, revision)
        if path not in files:
            raise _RefusedError(404, "EntryNotFound", "Entry not found")
        content, begin = files[path], 0
        headers = {"ETag": f'"{sha256(content).hexdigest()}"', "X-Repo-Commit": commit}
        if asked := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")):
            begin = int(asked[1])
            headers["Content-Range"] = f"bytes {begin}-{len(content) - 1}/{len(content)}"
        if self.command == "GET" and self.server.broken:
            raise _RefusedError(500, message="Internal error")
        if self.command == "GET" and self.server.cut is not None:
            self._answer(content, 200, headers, whole=False)
            return
        self._answer(content[begin:], 206 if begin else 200, headers)

    def _json(self, content: object) -> None:
        self._answer(json.dumps(content).encode(), 200, {"Content-Type": "application/json"})

    def _answer(
        self, content: bytes, status: int, headers: dict[str, str], *, whole: bool = True
    ) -> None:
        self.send_response(status)
        for key, value in (headers | {"Content-Length": str(len(content))}).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content if whole else content[: self.server.cut])
        self.close_connection = not whole

    def log_message(self, *unused: object) -> None:
        pass


def _blob(content: bytes) -> str:
    """The id that git gives a file."""
    return sha1(b"blob %d\0%b" % (len(content), content), usedforsecurity=False).hexdigest()


_NAME = r"([^/]+/[^/]+)"
_ROUTES = {
    r"POST /api/repos/create": "create",
    r"POST /api/validate-yaml": "validate",
    rf"GET /api/models/{_NAME}": "info",
    rf"GET /api/models/{_NAME}/revision/(.+)": "info",
    rf"GET /api/models/{_NAME}/tree/(.+)": "tree",
    rf"POST /api/models/{_NAME}/preupload/(.+)": "preupload",
    rf"POST /api/models/{_NAME}/commit/(.+)": "commit",
    rf"POST /{_NAME}\.git/info/lfs/objects/batch": "batch",
    r"PUT /stored/(.+)": "store",
    rf"(?:GET|HEAD) /{_NAME}/resolve/([^/]+)/(.+)": "resolve",
}
