"""Our nginx configuration on this machine: real nginx and gateways, other ports and folders, a name server of our own."""

import contextlib
import os
import socket
import socketserver
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

PATIENCE_SECONDS = 30
RESOLVE_SINCE = (1, 27, 3)
HTTP2_DIRECTIVE_SINCE = (1, 25, 1)
JWT_SECRET = "a-secret-that-is-long-enough-for-hs256"


def until(question: Callable[[], Any], what: str) -> Any:
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not (answer := question()):
        assert time.monotonic() < give_up_at, f"never came true: {what}"
        time.sleep(0.05)
    return answer


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(host: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
        return True
    return False


@dataclass
class Names:
    """A name server that knows one name, whatever is asked: as Docker's does with the replicas of a service."""

    addresses: list[str] = field(default_factory=list)

    @contextmanager
    def serve(self) -> Iterator[int]:
        addresses = self.addresses

        class Answer(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                query, connection = self.request
                # The question ends after its name, its type and its class; what follows is no part of it.
                end = query.index(b"\0", 12) + 5
                head = query[:2] + b"\x81\x80\0\1" + len(addresses).to_bytes(2, "big") + bytes(4)
                record = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4"
                answers = b"".join(record + socket.inet_aton(each) for each in addresses)
                connection.sendto(head + query[12:end] + answers, self.client_address)

        with socketserver.ThreadingUDPServer(("127.0.0.1", 0), Answer) as server:
            Thread(target=server.serve_forever, daemon=True).start()
            yield int(server.server_address[1])
            server.shutdown()


@contextmanager
def running_gateway(host: str, port: int, database: str, redis: str) -> Iterator[None]:
    """A gateway process that listens on `host` and believes nginx alone about its clients."""
    environ = {
        name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG"}
    } | {
        "DATABASE_URL": database,
        "REDIS_URL": redis,
        "HOST": host,
        "PORT": str(port),
        "METRICS_PORT": "0",
        "JWT_SECRET": JWT_SECRET,
        "TRUSTED_PROXIES": "127.0.0.1/32",
        "RATE_LIMIT_MAX_REQUESTS": "20",
        "SHUTDOWN_GRACE": "1s",
        "LOG_LEVEL": "warning",
    }
    process = subprocess.Popen([sys.executable, "-m", "gateway"], env=environ)
    try:
        until(lambda: listens(host, port) or process.poll() is not None, f"a gateway at {host}")
        assert process.poll() is None
        yield
    finally:
        process.terminate()
        process.wait(20)


def write_certificate(folder: Path) -> None:
    folder.mkdir()
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    (folder / "fullchain.pem").write_bytes(certificate.public_bytes(encoding))
    (folder / "privkey.pem").write_bytes(
        key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


@dataclass(frozen=True)
class Nginx:
    """Our configuration, changed only where a container differs from a folder of this machine."""

    program: Any
    folder: Path
    sources: Path
    gateway_port: int
    name_port: int
    http: int = field(default_factory=free_port)
    https: int = field(default_factory=free_port)
    health: int = field(default_factory=free_port)

    @property
    def resolves(self) -> bool:
        return bool(self.program.version >= RESOLVE_SINCE)

    @property
    def access_log(self) -> str:
        return (self.folder / "access.log").read_text()

    def logged(self, path: str) -> str | None:
        """The newest line about this path."""
        lines = (line for line in self.access_log.splitlines() if f'"path":"{path}"' in line)
        return max(lines, default=None)

    @property
    def _command(self) -> list[str]:
        return [
            *self.program.command,
            "-p",
            str(self.folder),
            "-c",
            str(self.folder / "nginx.conf"),
        ]

    def write(self) -> None:
        write_certificate(self.folder / "tls")
        (self.folder / "mime.types").write_text("types { text/html html; }\n")
        (self.folder / "acme/.well-known/acme-challenge").mkdir(parents=True)
        (self.folder / "acme/.well-known/acme-challenge/token").write_text("proof")
        # The gateway asks for unbuffered streams too: deaf to that, nginx must do it by its own configuration.
        proxy = (self.sources / "proxy.conf").read_text()
        (self.folder / "proxy.conf").write_text(f"{proxy}proxy_ignore_headers X-Accel-Buffering;\n")
        text = self._placed((self.sources / "nginx.conf").read_text())
        (self.folder / "nginx.conf").write_text(self._for_this_version(text))

    def _placed(self, text: str) -> str:
        temporary = "".join(
            f"  {kind}_temp_path {self.folder}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        user = "user root;\n" if os.geteuid() == 0 else ""
        for ours, theirs in {
            "http {\n": "http {\n" + temporary,
            "/etc/nginx/": f"{self.folder}/",
            "/run/nginx.pid": f"{self.folder}/nginx.pid",
            "/dev/stderr": f"{self.folder}/error.log",
            "/dev/stdout": f"{self.folder}/access.log",
            "/var/www/acme": f"{self.folder}/acme",
            "listen 80 ": f"listen 127.0.0.1:{self.http} ",
            "listen 443 ": f"listen 127.0.0.1:{self.https} ",
            "127.0.0.1:8080": f"127.0.0.1:{self.health}",
            "127.0.0.11 ": f"127.0.0.1:{self.name_port} ",
            "gateway:3000": f"gateway:{self.gateway_port}",
        }.items():
            assert ours in text, ours
            text = text.replace(ours, theirs)
        return user + text

    def _for_this_version(self, text: str) -> str:
        """Without what an older nginx does not know yet."""
        if not self.resolves:
            text = text.replace(" resolve ", " ")
            text = text.replace("server gateway:", "server 127.0.0.1:")
        if self.program.version < HTTP2_DIRECTIVE_SINCE:
            text = text.replace("    http2 on;\n", "").replace(" ssl default", " ssl http2 default")
        return text

    def check(self) -> str:
        done = subprocess.run(
            [*self._command, "-t"], capture_output=True, text=True, timeout=30, check=False
        )
        return "" if done.returncode == 0 else done.stderr

    @contextmanager
    def running(self) -> Iterator["Nginx"]:
        process = subprocess.Popen([*self._command, "-g", "daemon off;"])
        try:
            until(lambda: listens("127.0.0.1", self.https), "nginx listens")
            yield self
        finally:
            process.terminate()
            process.wait(20)
