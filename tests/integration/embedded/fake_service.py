"""A service in miniature: ready on METRICS_PORT, drains on SIGTERM. Run by the tests as a process.

Its argument says how it behaves: `well`, `stubborn` (ignores SIGTERM), `broken` (ends at once),
`worker` (has a child process). What happens is appended to the file in JOURNAL.
"""

import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/ready" else 404)
        self.end_headers()

    def log_message(self, *_args: object) -> None:
        pass


def note(what: str) -> None:
    with Path(os.environ["JOURNAL"]).open("a") as journal:
        journal.write(f"{os.environ['NAME']} {what}\n")


def main(manner: str) -> None:
    if manner == "broken":
        sys.exit("DATABASE_URL is wrong")
    if manner == "worker":
        worker = subprocess.Popen(["sleep", "600"])
        note(f"worker {worker.pid}")
    server = HTTPServer(("127.0.0.1", int(os.environ["METRICS_PORT"])), Handler)

    def on_sigterm(*_args: object) -> None:
        note("told to stop")
        if manner != "stubborn":
            threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, on_sigterm)
    server.serve_forever()
    server.server_close()
    note("stopped")


main(sys.argv[1])
