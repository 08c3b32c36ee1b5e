"""The edge: who may pass, how often, and what bad input gets."""

import asyncio
import gzip
import io
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr

from common.contracts.administration import RevokeApiKey
from common.contracts.executions import StartExecution
from common.ids import uuid7
from common.security import Principal, Scope, TokenIssuer
from common.streams import names
from common.streams.connection import Link
from gateway.limits.gcra import LocalFloor, Policy
from gateway.limits.limiter import Limiter
from gateway.redis_calls import Calls

START = "/v1/workflows/support/refunds/executions"


async def code_of(answer: Any) -> tuple[int, str]:
    body = await answer.json()
    assert answer.content_type == "application/problem+json"
    assert body["status"] == answer.status
    return answer.status, body["code"]


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "missing_credential"),
        ({"Authorization": "Basic eA=="}, "missing_credential"),
        ({"Authorization": "Bearer"}, "missing_credential"),
        ({"Authorization": "Bearer nonsense"}, "invalid_token"),
        ({"X-API-Key": "kwe_" + "0" * 32 + "_" + "a" * 43}, "invalid_key"),
    ],
)
async def test_without_a_valid_credential_401(
    gateway: Any, headers: dict[str, str], code: str
) -> None:
    client = await gateway.client_with(headers)
    async with client.get("/v1/executions") as answer:
        assert await code_of(answer) == (401, code)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_a_key_opens_what_its_scopes_say_and_nothing_else(gateway: Any) -> None:
    client = await gateway.client_for(Scope.EXECUTIONS_READ)
    async with client.get("/v1/executions") as answer:
        assert answer.status == 200
    for request in (client.post(START, json={}), client.get("/v1/workflows")):
        async with request as answer:
            assert await code_of(answer) == (403, "missing_scope")


async def test_keys_come_as_bearer_or_header(gateway: Any, rows: Any) -> None:
    key = await rows.api_key(["executions:read"])
    for headers in ({"X-API-Key": key}, {"Authorization": f"bearer {key}"}):
        client = await gateway.client_with(headers)
        async with client.get("/v1/executions") as answer:
            assert answer.status == 200


async def test_a_revoked_key_is_refused_after_a_moment(
    start_gateway: Any, rows: Any, tools: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr("gateway.credentials.REMEMBER_SECONDS", 0.1)
    async with start_gateway() as gateway:
        client = await gateway.client_for(Scope.EXECUTIONS_READ)
        async with client.get("/v1/executions") as answer:
            assert answer.status == 200
        await rows.connection.execute("UPDATE workflow.api_keys SET revoked_at = now()")

        async def refused() -> bool:
            async with client.get("/v1/executions") as answer:
                return bool(answer.status == 401)

        await tools.eventually(refused, "the revoked key is refused")


async def test_tokens_are_accepted_and_issued_with_no_more_rights_than_ones_own(
    gateway: Any, rows: Any, tools: Any
) -> None:
    issuer = TokenIssuer(
        secret=SecretStr(tools.jwt_secret), issuer="kwe", audience="kwe", expiry=timedelta(hours=1)
    )
    principal = Principal(
        organization_id=rows.organization_id,
        subject="ada",
        scopes=frozenset({Scope.EXECUTIONS_READ}),
    )
    client = await gateway.client_with({"Authorization": f"Bearer {issuer.issue(principal)}"})
    async with client.get("/v1/executions") as answer:
        assert answer.status == 200
    body = {"scopes": ["workflows:read"], "expiresIn": 60}
    async with gateway.client.post("/v1/tokens", json=body) as answer:
        issued = await answer.json()
        assert (answer.status, issued["expiresIn"]) == (201, 60)
    client = await gateway.client_with({"Authorization": f"Bearer {issued['accessToken']}"})
    async with client.get("/v1/workflows") as answer:
        assert answer.status == 200
    async with client.get("/v1/executions") as answer:
        assert answer.status == 403


async def test_the_limit_of_an_organisation_spans_replicas(start_gateway: Any, owners: Any) -> None:
    settings = {"rate_limit_max_requests": 4, "rate_limit_window": "1h"}
    async with start_gateway(**settings) as one, start_gateway(**settings) as two:
        statuses = []
        for gateway in (one, two, one, two, one):
            async with gateway.client.get("/v1/executions") as answer:
                statuses.append(answer.status)
        assert statuses == [200, 200, 200, 200, 429]
        async with two.client.get("/v1/executions") as answer:
            assert await code_of(answer) == (429, "rate_limited")
            assert int(answer.headers["Retry-After"]) > 800
            assert answer.headers["RateLimit"].startswith('"default";r=0;')
        async with one.client.get("/health") as answer:
            assert answer.status == 200


async def test_without_identity_the_address_is_limited(start_gateway: Any) -> None:
    async with start_gateway(rate_limit_max_requests=2, rate_limit_window="1h") as gateway:
        guesser = await gateway.client_with({"Authorization": "Bearer guess"})
        statuses = []
        for _ in range(4):
            async with guesser.get("/v1/executions") as answer:
                statuses.append(answer.status)
        assert statuses == [401, 401, 429, 429]


BAD_BODIES = [
    (b"", 400, ""),
    (b"{", 400, ""),
    (b'{"input": NaN}', 400, "/input"),
    (b'{"input": "\\ud800"}', 400, "/input"),
    (b'{"input": "a\\u0000b"}', 400, "/input"),
    (b'{"input": "\xff"}', 400, ""),
    (b'{"input": ' + b"[" * 64 + b"]" * 64 + b"}", 400, "/input" + "/0" * 63),
    (b"[1]", 422, ""),
    (b'{"inputs": 1}', 422, "/inputs"),
    (b'{"version": 1}', 422, "/version"),
    (b'{"labels": {"a": 1}}', 422, "/labels/a"),
    (b'{"labels": []}', 422, "/labels"),
]


@pytest.mark.parametrize(("raw", "status", "pointer"), BAD_BODIES)
async def test_bad_bodies_are_refused_with_a_pointer_and_never_sent(
    gateway: Any, owners: Any, raw: bytes, status: int, pointer: str
) -> None:
    async with gateway.client.post(START, data=raw) as answer:
        body = await answer.json()
        assert answer.status == status, body
    if pointer:
        assert pointer in [each["pointer"] for each in body["errors"]]
    assert owners.asked_for(StartExecution) == []


async def test_too_much_is_refused_before_it_is_read(gateway: Any) -> None:
    large = io.BytesIO(b'{"input": "' + b"x" * 1024 * 1024 + b'"}')
    async with gateway.client.post(START, data=large) as answer:
        assert await code_of(answer) == (413, "too_large")

    async def chunks() -> Any:
        for _ in range(40):
            yield b"x" * 64 * 1024

    async with gateway.client.post(START, data=chunks()) as answer:
        assert await code_of(answer) == (413, "too_large")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "no_such_route"),
        ("PATCH", "/v1/executions", 405, "method_not_allowed"),
        ("POST", "/v1/workflows/Bad_Name/x/executions", 404, "workflow_not_found"),
        ("GET", "/v1/workflows/a/%00", 404, "workflow_not_found"),
        ("GET", "/v1/workflows/a/b", 404, "workflow_not_found"),
        ("GET", "/v1/collections/x", 404, "collection_not_found"),
        ("GET", "/v1/collections/x/documents/%00", 404, "document_not_found"),
    ],
)
async def test_what_is_not_there(
    gateway: Any, method: str, path: str, status: int, code: str
) -> None:
    async with gateway.client.request(method, path, json={}) as answer:
        assert await code_of(answer) == (status, code)
        assert answer.headers["X-Request-Id"]


async def test_request_ids_and_traces_are_taken_up_and_returned(gateway: Any, owners: Any) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    headers = {"X-Request-Id": "mine-1", "traceparent": f"00-{trace}-b7ad6b7169203331-01"}
    async with gateway.client.post(START, json={}, headers=headers) as answer:
        assert answer.headers["X-Request-Id"] == "mine-1"
        assert trace in answer.headers["traceparent"]
    assert trace in owners.asked_for(StartExecution)[0].traceparent
    async with gateway.client.get("/health", headers={"X-Request-Id": "bad id"}) as answer:
        assert answer.headers["X-Request-Id"] != "bad id"


async def test_pages_of_allowed_origins_may_call(start_gateway: Any) -> None:
    async with start_gateway(cors_origin=("https://app.example.com",)) as gateway:
        preflight = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST"}
        async with gateway.client.options("/v1/executions", headers=preflight) as answer:
            assert answer.status == 204
            assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
            assert "Idempotency-Key" in answer.headers["Access-Control-Allow-Headers"]
        origin = {"Origin": "https://app.example.com"}
        async with gateway.client.get("/v1/nothing", headers=origin) as answer:
            assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
        async with gateway.client.get(
            "/v1/executions", headers={"Origin": "https://evil"}
        ) as answer:
            assert "Access-Control-Allow-Origin" not in answer.headers


async def test_while_no_orchestrator_reaches_postgresql_starts_are_refused_unsent(
    gateway: Any, owners: Any, tools: Any
) -> None:
    await owners.redis.delete(names.DATABASE_DOWN_KEY)

    async def refused() -> bool:
        async with gateway.client.post(START, json={}) as answer:
            return bool(answer.status == 503)

    await tools.eventually(refused, "the missing key is noticed")
    sent = len(owners.asked_for(StartExecution))
    async with gateway.client.post(START, json={}) as answer:
        assert await code_of(answer) == (503, "database_unavailable")
        assert "Retry-After" in answer.headers
    async with gateway.client.get("/ready") as answer:
        assert answer.status == 200  # reads go on
    assert len(owners.asked_for(StartExecution)) == sent
    await owners.say_healthy()

    async def accepted() -> bool:
        async with gateway.client.post(START, json={}) as answer:
            return bool(answer.status == 202)

    await tools.eventually(accepted, "it recovers by itself")


async def test_many_starts_at_once_are_all_answered(gateway: Any, owners: Any) -> None:
    async def start() -> str:
        async with gateway.client.post(START, json={"input": {"n": 1}}) as answer:
            assert answer.status == 202
            return str((await answer.json())["id"])

    ids = await asyncio.gather(*(start() for _ in range(100)))
    assert len(set(ids)) == 100


async def test_the_documents_describe_themselves(gateway: Any) -> None:
    for path, kind in (
        ("/openapi.json", "application/json"),
        ("/asyncapi.json", "application/json"),
        ("/docs", "text/html"),
    ):
        client = await gateway.client_with({})
        async with client.get(path) as answer:
            assert (answer.status, answer.content_type) == (200, kind)
            assert await answer.read()


async def test_dead_letters_invariants_and_functions_are_shown(
    gateway: Any, owners: Any, rows: Any, tools: Any
) -> None:
    letter, orphan = uuid7(), await rows.execution()
    waiting = await rows.execution(status="waiting")
    await rows.wait(waiting, "1", "suspended")
    await rows.connection.execute(
        "INSERT INTO workflow.dead_letters (id, organization_id, stream, reason, entry) VALUES ($1, $2, 's', 'r', 'x')",
        letter,
        rows.organization_id,
    )
    async with gateway.client.get("/v1/dead-letters") as answer:
        (found,) = (await answer.json())["items"]
    assert (found["id"], found["reason"], found["redrivenAt"]) == (str(letter), "r", None)
    async with gateway.client.post(f"/v1/dead-letters/{letter}/redrive") as answer:
        assert answer.status == 202
    async with gateway.client.get("/v1/health/invariants") as answer:
        body = await answer.json()
    assert (body["ok"], body["unfinished"], body["orphans"]) == (False, 2, 1)
    assert body["examples"][0]["id"] == str(orphan)
    assert body["waits"][0]["kind"] == "suspended"
    async with gateway.client.get("/v1/functions") as answer:
        functions = {each["name"]: each for each in (await answer.json())["items"]}
    assert functions["llm"]["builtIn"]


async def test_keys_and_organisations_are_made_by_their_owner(gateway: Any, owners: Any) -> None:
    async with gateway.client.post("/v1/organizations", json={"name": "new-org"}) as answer:
        assert answer.status == 201
    async with gateway.client.post("/v1/api-keys", json={"scopes": ["events:read"]}) as answer:
        made = await answer.json()
        assert answer.status == 201
        assert made["key"].startswith("kwe_")
    sent = owners.asked[-1]
    assert made["key"] not in str(sent)
    assert sent.scopes == ("events:read",)
    async with gateway.client.post("/v1/api-keys", json={"scopes": ["root"]}) as answer:
        assert await code_of(answer) == (422, "invalid_body")


async def test_keys_are_listed_without_their_secret_and_revoked_by_their_owner(
    gateway: Any, owners: Any, rows: Any
) -> None:
    texts = [await rows.api_key(["executions:read"]) for _ in range(3)]
    ids: list[str] = []
    query: dict[str, str] = {"limit": "2"}
    while True:
        async with gateway.client.get("/v1/api-keys", params=query) as answer:
            assert answer.status == 200
            text = await answer.text()
            listed = await answer.json()
        assert not any(each in text for each in texts)
        ids += [each["id"] for each in listed["items"]]
        if listed["nextCursor"] is None:
            break
        query["cursor"] = listed["nextCursor"]
    assert ids == sorted(set(ids), reverse=True)
    assert len(ids) >= len(texts)

    async with gateway.client.delete(f"/v1/api-keys/{ids[0]}") as answer:
        assert answer.status == 204
    (sent,) = owners.asked_for(RevokeApiKey)
    assert str(sent.key_id) == ids[0]
    async with gateway.client.delete("/v1/api-keys/nonsense") as answer:
        assert await code_of(answer) == (404, "not_found")


async def test_who_is_no_administrator_sees_no_keys(gateway: Any) -> None:
    client = await gateway.client_for("executions:write", "workflows:write")
    async with client.get("/v1/api-keys") as answer:
        assert await code_of(answer) == (403, "missing_scope")


async def test_a_client_that_hangs_up_disturbs_nobody(gateway: Any) -> None:
    impatient = aiohttp.ClientTimeout(total=0.05)
    with pytest.raises(TimeoutError):
        async with gateway.client.post(START, params={"wait": "5"}, json={}, timeout=impatient):
            pass
    async with gateway.client.post(START, json={}) as answer:
        assert answer.status == 202


async def test_the_script_in_redis_and_the_floor_in_the_process_decide_alike(
    redis_url: str,
) -> None:
    policy = Policy.of(5, timedelta(hours=1))
    link = Link(redis_url)
    limiter, floor = Limiter(Calls(link), policy), LocalFloor()
    for _ in range(8):
        remote, local = await limiter.take("a"), floor.take("a", 1_000_000, policy)
        assert remote is not None
        assert (remote.allowed, remote.remaining) == (local.allowed, local.remaining)
        assert abs(remote.reset_us - local.reset_us) < 5_000_000
        assert abs(remote.retry_us - local.retry_us) < 5_000_000
    await link.close()


async def test_the_gateways_role_sees_nothing_without_an_organisation(rows: Any) -> None:
    await rows.execution()
    count = "SELECT count(*) FROM workflow.workflow_executions"
    async with rows.connection.transaction():
        await rows.connection.execute("SET LOCAL ROLE kwe_gateway")
        assert await rows.connection.fetchval(count) == 0
        await rows.connection.execute(f"SET LOCAL app.org = '{rows.organization_id}'")
        assert await rows.connection.fetchval(count) == 1
        await rows.connection.execute(f"SET LOCAL app.org = '{uuid7()}'")
        assert await rows.connection.fetchval(count) == 0


FILE = b'Content-Disposition: form-data; name="file"; filename="a.txt"\r\n'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no boundary at all",
        b"--XX\r\ngarbage\r\n\r\ntext\r\n--XX--\r\n",
        b"--XX\r\n: nameless\r\n\r\ntext\r\n--XX--\r\n",
        b"--XX\r\n" + FILE + b"\r\nnever ended",
        b"--XX\r\n" + FILE,
        b"--XX\r\n" + FILE + b"X: y\r\n" * 10_000 + b"\r\ntext\r\n--XX--\r\n",
        b"--XX\r\n" + b"X" * 100_000 + b": y\r\n\r\ntext\r\n--XX--\r\n",
        b"--XX\r\nContent-Type: multipart/mixed; boundary=YY\r\n\r\n--YY\r\n\r\n--YY--\r\n--XX--\r\n",
    ],
)  # fmt: skip
async def test_a_broken_upload_is_the_callers_fault(gateway: Any, body: bytes) -> None:
    path = "/v1/collections/policies/documents"
    headers = {"Content-Type": "multipart/form-data; boundary=XX"}
    async with gateway.client.post(path, data=body, headers=headers) as answer:
        status, _ = await code_of(answer)
        assert 400 <= status < 500


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "nonsense"])
async def test_a_body_that_does_not_unpack_is_the_callers_fault(
    gateway: Any, encoding: str
) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
    async with gateway.client.post(START, data=b"no archive", headers=headers) as answer:
        assert 400 <= answer.status < 500


async def test_a_body_counts_as_large_as_it_unpacks(gateway: Any) -> None:
    packed = gzip.compress(b'{"input": "' + b"a" * 30_000_000 + b'"}')
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    async with gateway.client.post(START, data=packed, headers=headers) as answer:
        assert await code_of(answer) == (413, "too_large")
