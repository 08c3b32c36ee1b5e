"""`kwe health`, as containers run it: quick, quiet, and with nothing but the standard library."""

import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

SECONDS_MAX = 0.06
CODE = "import sys; from kwe.cli.entry import main; main()"
FOREIGN = """
import sys
from kwe.cli.entry import main
before = set(sys.modules)
try:
    main()
except SystemExit:
    names = {name.partition('.')[0] for name in set(sys.modules) - before}
    print(sorted(names - sys.stdlib_module_names - {'kwe'}))
"""


class Service(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else 503)
        self.end_headers()
        self.wfile.write(b"alive" if self.path == "/health" else b"draining")

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def service_port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def health(
    port: object, *options: str, code: str = CODE, host: str = "0.0.0.0"
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, "health", *options],
        env={"METRICS_PORT": str(port), "HOST": host},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@contextmanager
def processor_time() -> Iterator[list[float]]:
    used: list[float] = []
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    yield used
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)


def test_a_living_service_is_reported_with_exit_code_0(service_port: int) -> None:
    done = health(service_port)
    assert (done.returncode, done.stdout, done.stderr) == (0, "alive\n", "")


def test_a_service_that_is_not_ready_says_why(service_port: int) -> None:
    done = health(service_port, "--ready")
    assert done.returncode == 1
    assert done.stderr.endswith("/ready answers 503: draining\n")


def test_an_absent_service_is_one_line() -> None:
    done = health(1)
    assert done.returncode == 1
    assert done.stderr == "http://127.0.0.1:1/health: Connection refused\n"


@pytest.mark.parametrize("port", ["0", "http", "70000", "²"])
def test_a_port_that_cannot_be_asked_is_exit_code_2(port: str) -> None:
    done = health(port)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "METRICS_PORT" in done.stderr


def test_only_the_standard_library_is_imported(service_port: int) -> None:
    done = health(service_port, code=FOREIGN)
    assert done.stdout.splitlines() == ["alive", "[]"]


def test_it_costs_less_than_60_ms_of_a_processor(service_port: int) -> None:
    costs = []
    for _ in range(5):
        with processor_time() as used:
            assert health(service_port).returncode == 0
        costs += used
    assert min(costs) < SECONDS_MAX, costs
