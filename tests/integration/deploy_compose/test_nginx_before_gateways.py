"""nginx as compose.nginx.yaml runs it, before real gateways: what clients and gateways see of each other."""

import http.client
import json
import ssl
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from nginx_stand import Names, Nginx, free_port, running_gateway, until
from redis import Redis

from common.ids import uuid7
from common.security import new_api_key
from common.streams import names

EVENTS = "/v1/events"


def unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@dataclass
class Edge:
    nginx: Nginx
    names: Names
    stores: "Stores"

    @contextmanager
    def asked(
        self, path: str, *, method: str = "GET", source: str = "127.0.0.1", **headers: str
    ) -> Iterator[http.client.HTTPResponse]:
        connection = http.client.HTTPSConnection(
            "127.0.0.1",
            self.nginx.https,
            context=unverified(),
            source_address=(source, 0),
            timeout=10,
        )
        try:
            connection.request(method, path, headers=headers)
            yield connection.getresponse()
        finally:
            connection.close()

    def status(self, path: str, **options: Any) -> int:
        with self.asked(path, **options) as answer:
            return answer.status


async def prepared_database(server: Any, template: str) -> tuple[str, str, str]:
    """A database with one organisation: its address, the organisation's id, a key of it."""
    name = f"edge_{uuid.uuid4().hex}"
    administrator = await asyncpg.connect(server.dsn_of("postgres"))
    await administrator.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    await administrator.close()
    organization, key = uuid7(), new_api_key(uuid7())
    connection = await asyncpg.connect(server.dsn_of(name))
    await connection.execute(
        "INSERT INTO workflow.organizations (id, name) VALUES ($1, 'acme')", organization
    )
    await connection.execute(
        "INSERT INTO workflow.api_keys (id, organization_id, hash, scopes) VALUES ($1, $2, $3, $4)",
        *(key.id, organization, bytes.fromhex(key.hash), ["events:read", "workflows:read"]),
    )
    await connection.close()
    return server.dsn_of(name), str(organization), key.text


@dataclass
class Stores:
    database: str
    redis: str
    organization: str
    key: str


@pytest.fixture(scope="module")
def stores(fixture_loop: Any, postgres: Any, valkey: Any, template: str) -> Stores:
    database, organization, key = fixture_loop.run(prepared_database(postgres, template))
    with Redis.from_url(valkey.url) as redis:
        redis.flushall()
        redis.set(names.DATABASE_DOWN_KEY, "ok", px=120_000)
        redis.set(names.GENERATION_KEY, "g1")
    return Stores(database, valkey.url, organization, key)


@pytest.fixture(scope="module")
def edge(
    nginx: Any, compose_folder: Path, stores: Stores, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Edge]:
    known, port = Names(["127.0.0.1"]), free_port()
    with (
        known.serve() as name_port,
        running_gateway("127.0.0.1", port, stores.database, stores.redis),
    ):
        folder = tmp_path_factory.mktemp("nginx")
        placed = Nginx(nginx, folder, compose_folder / "nginx", port, name_port)
        placed.write()
        assert placed.check() == ""
        with placed.running():
            yield Edge(placed, known, stores)


def test_requests_reach_the_gateway_over_http_2_and_modern_tls(edge: Edge) -> None:
    context = unverified()
    context.set_alpn_protocols(["h2", "http/1.1"])
    connection = http.client.HTTPSConnection("127.0.0.1", edge.nginx.https, context=context)
    connection.connect()
    assert connection.sock.selected_alpn_protocol() == "h2"
    assert connection.sock.version() == "TLSv1.3"
    connection.close()
    assert edge.status("/health") == 200


def test_plain_http_is_sent_to_tls_except_for_the_challenge_of_a_certificate(edge: Edge) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", edge.nginx.http, timeout=10)
    connection.request("POST", "/v1/events?a=1", headers={"Host": "api.example.com"})
    answer = connection.getresponse()
    answer.read()
    assert (answer.status, answer.headers["Location"]) == (
        308,
        "https://api.example.com/v1/events?a=1",
    )
    connection.request("GET", "/.well-known/acme-challenge/token")
    assert connection.getresponse().read() == b"proof"
    connection.close()


def test_answers_carry_the_headers_that_protect_browsers_once(edge: Edge) -> None:
    with edge.asked("/v1/workflows") as answer:
        headers = answer.headers
    assert answer.status == 401
    assert headers.get_all("X-Content-Type-Options") == ["nosniff"]
    assert headers["Strict-Transport-Security"].startswith("max-age=31536000")
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Server"] == "nginx"
    assert headers["X-Request-Id"]


def test_metrics_are_not_for_the_world(edge: Edge) -> None:
    assert edge.status("/metrics") == 404


def test_the_gateway_counts_requests_by_the_true_address_of_the_client(edge: Edge) -> None:
    claimed = iter(range(1, 200))

    def ask() -> int:
        forged = {"X-Forwarded-For": f"203.0.113.{next(claimed)}"}
        return edge.status("/v1/workflows", source="127.0.0.9", **forged)

    answers = [ask() for _ in range(21)]
    assert answers == [401] * 20 + [429]
    assert edge.status("/v1/workflows", source="127.0.0.8") == 401


def test_events_pass_while_the_stream_is_open(edge: Edge) -> None:
    headers = {"Authorization": f"Bearer {edge.stores.key}", "Accept": "text/event-stream"}
    with edge.asked(EVENTS, **headers) as answer:
        assert answer.status == 200
        assert answer.headers.get_content_type() == "text/event-stream"
        primer = [answer.readline() for _ in range(3)]
        assert primer[0].startswith(b"retry: ")
        with Redis.from_url(edge.stores.redis) as redis:
            event = [{"id": "mine", "type": "t"}]
            redis.xadd(names.events(edge.stores.organization), {names.FIELD: json.dumps(event)})
        sent = time.monotonic()
        lines = iter(answer.readline, b"")
        assert any(b'"id":"mine"' in line.replace(b" ", b"") for line in lines)
        assert time.monotonic() - sent < 5


def test_a_new_replica_gets_requests_without_a_reload(edge: Edge) -> None:
    if not edge.nginx.resolves:
        pytest.skip("this nginx is older than 1.27.3 and looks names up at its start only")
    port = edge.nginx.gateway_port
    with running_gateway("127.0.0.2", port, edge.stores.database, edge.stores.redis):
        edge.names.addresses.append("127.0.0.2")

        def answered_by_both() -> bool:
            assert edge.status("/health") == 200
            return all(f'"upstream":"{host}:{port}"' in edge.nginx.access_log for host in both)

        both = ("127.0.0.1", "127.0.0.2")
        until(answered_by_both, "the new gateway answers")
        edge.names.addresses.remove("127.0.0.2")
    # Gone, and nobody notices.
    assert {edge.status("/health") for _ in range(20)} == {200}


def test_a_line_of_the_access_log_is_json_with_the_names_of_our_logs(edge: Edge) -> None:
    assert edge.status("/ready?token=secret") in {200, 503}
    line = until(lambda: edge.nginx.logged("/ready"), "the request is logged")
    logged = json.loads(line)
    assert (logged["service"], logged["path"]) == ("nginx", "/ready")
    assert logged["correlationId"]
    assert "secret" not in line
