"""Asks the service of this machine or container whether it is alive. Imports the standard library only, and little of it."""

import os
import socket
import sys

TIMEOUT_SECONDS = 2.0
_ANSWER_BYTES_MAX = 16 * 1024
_PORT = "9090"
_OWN_ADDRESSES = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # what to ask where it listens on all


def probe(*, ready: bool) -> int:
    """0 when it answers 200, 1 when it does not, 2 when the settings do not say where to ask. One line says why."""
    port = os.environ.get("METRICS_PORT") or _PORT
    if not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        return _say(f"METRICS_PORT={port} is no port that can be asked: give the service one", 2)
    host = os.environ.get("HOST", "")
    address = (_OWN_ADDRESSES.get(host, host), int(port))
    path = "/ready" if ready else "/health"
    where = f"http://{address[0]}:{port}{path}"
    try:
        status, body = _get(address, path)
    except OSError as error:
        return _say(f"{where}: {error.strerror or error}", 1)
    if status != "200":
        return _say(f"{where} answers {status or 'nothing'}: {body}", 1)
    sys.stdout.write(f"{body}\n")
    return 0


def _get(address: tuple[str, int], path: str) -> tuple[str, str]:
    """Status and body. HTTP/1.0, so that the server ends the answer by closing."""
    with socket.create_connection(address, timeout=TIMEOUT_SECONDS) as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        answer = b""
        while (piece := connection.recv(4096)) and len(answer) < _ANSWER_BYTES_MAX:
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    words = head.split(b"\r\n", 1)[0].split()
    return words[1].decode("latin-1") if len(words) > 1 else "", body.decode("utf-8", "replace")


def _say(line: str, code: int) -> int:
    sys.stderr.write(f"{line}\n")
    return code
