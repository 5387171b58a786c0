"""What W&B's package needs of a server to upload a run's history, for tests that must not leave the machine.

It keeps the history of each run as lines by offset, as W&B's file stream does, and answers who asks for a run
to resume. The package under test is the real one.
"""

from __future__ import annotations

import base64
import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class WandbServer(ThreadingHTTPServer):
    """Serves on a free port of loopback until `stop`."""

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Request)
        self.lines: dict[str, list[str]] = {}
        self.configs: dict[str, dict[str, Any]] = {}
        self.projects: dict[str, str] = {}
        self.refusal = 0
        """The status that every upload of history is answered with, unless 0."""
        self.refused = 0
        self.outage = 0
        """The status that all is answered with, unless 0."""
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def history(self, run: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines.get(run, [])]

    def stop(self) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # a client that was killed


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: WandbServer

    def log_message(self, *_: object) -> None:
        pass

    def do_PUT(self) -> None:
        self._body()
        self._answer({})

    def do_POST(self) -> None:
        body = self._body()
        if self.server.outage:
            self._answer({"errors": [{"message": "no"}]}, self.server.outage)
        elif self.path.endswith("/file_stream"):
            self._file_stream(json.loads(body))
        elif self.path.endswith("/graphql"):
            asked = json.loads(body)
            self._answer({"data": self._data(asked["query"], asked.get("variables") or {})})
        else:
            self._answer({})

    def _file_stream(self, sent: dict[str, Any]) -> None:
        if self.server.refusal:
            self.server.refused += 1
            self._answer({"error": "no"}, self.server.refusal)
            return
        chunk = (sent.get("files") or {}).get("wandb-history.jsonl")
        if chunk:
            lines, begin = self.server.lines[self.path.split("/")[-2]], chunk["offset"]
            lines[begin : begin + len(chunk["content"])] = chunk["content"]
        self._answer({"exitcode": None, "limits": {}})

    def _data(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        project = {"id": "p", "name": variables.get("project"), "entity": {"id": "e", "name": "us"}}
        if "upsertBucket" in query:
            run = variables["name"]
            new = run not in self.server.lines
            self.server.lines.setdefault(run, [])
            self.server.projects[run] = variables.get("project") or ""
            if variables.get("config"):
                self.server.configs[run] = json.loads(variables["config"])
            return {"upsertBucket": {"inserted": new, "bucket": self._run(run) | {"project": project}}}
        if "RunResumeStatus" in query:
            run = variables["name"]
            return {"model": project | {"bucket": self._run(run) if run in self.server.lines else None}}
        if "createRunFiles" in query:
            files = [{"name": name, "uploadUrl": f"{self.server.url}/up"} for name in variables["files"]]
            return {"createRunFiles": {"runID": "r", "uploadHeaders": [], "files": files}}
        if "viewer" in query:
            return {"viewer": {"id": "u", "entity": "us", "username": "us", "teams": {"edges": []}}}
        return {"serverInfo": {"features": []}}

    def _run(self, run: str) -> dict[str, Any]:
        lines = self.server.lines[run]
        return {
            "id": base64.b64encode(run.encode()).decode(),
            "name": run,
            "displayName": run,
            "config": json.dumps(self.server.configs.get(run, {})),
            "summaryMetrics": lines[-1] if lines else "{}",
            "historyLineCount": len(lines),
            "historyTail": json.dumps(lines[-1:]),
            "eventsLineCount": 0,
            "eventsTail": "[]",
            "logLineCount": 0,
            "tags": [],
            "wandbConfig": '{"t": 1}',
        }

    def _body(self) -> bytes:
        data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return gzip.decompress(data) if self.headers.get("Content-Encoding") == "gzip" else data

    def _answer(self, value: object, status: int = 200) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
