"""How requests prove who sends them, against servers that check it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from common.serving.context import TaskContext
from common.serving.failures import FunctionError
from executor.http.call import HttpFunction
from executor.outbound.addresses import OutboundRules
from executor.outbound.client import OutboundClient

sys.path.insert(0, str(Path(__file__).parent))

from identity_server import (
    CLIENT,
    CLIENT_SECRET,
    ISSUER,
    PASSWORD,
    USER,
    DigestServer,
    IdentityServer,
)

POST = {"id": CLIENT, "secret": CLIENT_SECRET}


@pytest.fixture
async def http() -> AsyncIterator[HttpFunction]:
    async with OutboundClient(OutboundRules.of(["127.0.0.1"])) as client:
        yield HttpFunction(client)


def oauth2(url: str, **more: Any) -> dict[str, Any]:
    policy = {"authority": url, "grant": "client_credentials", "client": POST, **more}
    return {"oauth2": policy}


async def get(http: HttpFunction, context: TaskContext, url: str, policy: Any, **more: Any) -> Any:
    given = {"method": "get", "endpoint": f"{url}/resource", "authentication": policy, **more}
    return await http(given, context)


@pytest.mark.parametrize(
    "policy",
    [
        {},
        {"client": {**POST, "authentication": "client_secret_basic"}},
        {"client": {**POST, "authentication": "client_secret_jwt"}},
        {"client": {"id": "public", "authentication": "none"}},
        {"grant": "password", "username": USER, "password": PASSWORD},
        {"grant": "refresh_token", "subject": {"token": "first", "type": "refresh_token"}},
        {
            "grant": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject": {"token": "of ada", "type": "urn:ietf:params:oauth:token-type:jwt"},
        },
        {"request": {"encoding": "application/json"}},
        {"endpoints": {"token": "/tokens"}},
        {"issuers": [ISSUER]},
    ],
    ids=lambda policy: " ".join(map(str, policy.values())) or "client_secret_post",
)
async def test_a_token_is_obtained_and_used(
    serve: Any, context: TaskContext, http: HttpFunction, policy: dict[str, Any]
) -> None:
    server = IdentityServer(refresh_tokens={"first"})
    async with serve(server.answer) as url:
        assert await get(http, context, url, oauth2(url, **policy)) == {"fine": True}
    assert len(server.asked) == 1


async def test_a_client_may_prove_itself_by_its_private_key(
    serve: Any, context: TaskContext, http: HttpFunction
) -> None:
    key = rsa.generate_private_key(65537, 2048)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    server = IdentityServer(public_key=public.decode())
    client = {"id": CLIENT, "secret": private.decode(), "authentication": "private_key_jwt"}
    async with serve(server.answer) as url:
        assert await get(http, context, url, oauth2(url, client=client)) == {"fine": True}


async def test_oidc_finds_the_token_endpoint(
    serve: Any, context: TaskContext, http: HttpFunction
) -> None:
    server = IdentityServer()
    async with serve(server.answer) as url:
        policy = {"oidc": oauth2(f"{url}/realms/one", issuers=[ISSUER])["oauth2"]}
        assert await get(http, context, url, policy) == {"fine": True}


async def test_scopes_and_audiences_are_asked_for(
    serve: Any, context: TaskContext, http: HttpFunction
) -> None:
    server = IdentityServer()
    async with serve(server.answer) as url:
        await get(http, context, url, oauth2(url, scopes=["a", "b"], audiences=["x", "y"]))
    assert (server.asked[0]["scope"], server.asked[0]["audience"]) == (["a b"], ["x", "y"])


async def test_a_token_is_asked_for_once_by_many_at_once(
    serve: Any, context: TaskContext, http: HttpFunction
) -> None:
    server = IdentityServer()
    async with serve(server.answer) as url:
        calls = [get(http, context, url, oauth2(url)) for _ in range(8)]
        assert await asyncio.gather(*calls) == [{"fine": True}] * 8
    assert len(server.asked) == 1


async def test_a_token_that_has_expired_is_asked_for_anew(
    serve: Any, context: TaskContext, http: HttpFunction
) -> None:
    server = IdentityServer(lifetime=0)
    async with serve(server.answer) as url:
        await get(http, context, url, oauth2(url))
        await get(http, context, url, oauth2(url))
    assert len(server.asked) == 2


async def test_a_refresh_token_is_used_when_there_is_one(
    serve: Any, context: TaskContext, http: HttpFunction
) -> None:
    server = IdentityServer(lifetime=0, gives_refresh_tokens=True)
    policy = {"grant": "password", "username": USER, "password": PASSWORD}
    async with serve(server.answer) as url:
        await get(http, context, url, oauth2(url, **policy))
        await get(http, context, url, oauth2(url, **policy))
        server.refresh_tokens.clear()  # revoked: back to the beginning
        await get(http, context, url, oauth2(url, **policy))
    kinds = [asked["grant_type"][0] for asked in server.asked]
    assert kinds == ["password", "refresh_token", "refresh_token", "password"]


async def test_a_token_that_was_revoked_is_replaced_once(
    serve: Any, context: TaskContext, http: HttpFunction
) -> None:
    server = IdentityServer()
    async with serve(server.answer) as url:
        await get(http, context, url, oauth2(url))
        server.good.clear()
        assert await get(http, context, url, oauth2(url)) == {"fine": True}
    assert len(server.asked) == 2


async def test_organisations_do_not_share_tokens(
    serve: Any, context: TaskContext, http: HttpFunction
) -> None:
    server = IdentityServer()
    async with serve(server.answer) as url:
        await get(http, context, url, oauth2(url))
        context.organization_id = UUID(int=9)
        await get(http, context, url, oauth2(url))
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (
            {"client": {"id": CLIENT, "secret": "wrong-secret"}},
            "401 and gave no token: invalid_client",
        ),
        (
            {"grant": "password", "username": USER, "password": "wrong-secret"},
            "400 and gave no token: invalid_grant",
        ),
        ({"issuers": ["https://another.example"]}, "none of the issuers"),
        ({"endpoints": {"token": "/nowhere"}}, "404"),
    ],
)
async def test_no_token_is_an_error_of_authentication_that_quotes_nothing(
    serve: Any, context: TaskContext, http: HttpFunction, policy: dict[str, Any], said: str
) -> None:
    async with serve(IdentityServer().answer) as url:
        with pytest.raises(FunctionError) as raised:
            await get(http, context, url, oauth2(url, **policy))
    error = raised.value
    assert (error.as_error()["status"], error.retryable) == (401, False)
    assert said in error.detail
    assert "secret" not in error.detail


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256"])
@pytest.mark.parametrize("method", ["get", "post"])
async def test_a_digest_answers_the_challenge(
    serve: Any, context: TaskContext, http: HttpFunction, algorithm: str, method: str
) -> None:
    server = DigestServer(algorithm)
    policy = {"digest": {"username": USER, "password": PASSWORD}}
    body = None if method == "get" else {"n": 1}
    async with serve(server.answer) as url:
        answer = await get(http, context, url, policy, method=method, query={"q": "ä b"}, body=body)
    assert answer == {"fine": True}
    assert server.bodies[-1] == ("" if body is None else '{"n":1}')


async def test_a_wrong_digest_is_a_401(
    serve: Any, context: TaskContext, http: HttpFunction
) -> None:
    policy = {"digest": {"username": USER, "password": "wrong"}}
    async with serve(DigestServer("SHA-256").answer) as url:
        with pytest.raises(FunctionError) as raised:
            await get(http, context, url, policy)
    assert raised.value.status == 401


@pytest.mark.parametrize("scheme", ["digest", "oauth2"])
async def test_another_origin_gets_no_credentials(
    serve: Any, context: TaskContext, http: HttpFunction, scheme: str
) -> None:
    seen: list[str | None] = []

    async def stranger(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization"))
        challenge = 'Digest realm="x", qop="auth", nonce="n", algorithm=MD5'
        return web.Response(status=401, headers={"WWW-Authenticate": challenge})

    identity = IdentityServer()
    async with serve(stranger) as other:

        async def away(request: web.Request) -> web.StreamResponse:
            if request.path == "/resource":
                return web.Response(status=302, headers={"Location": other})
            return await identity.answer(request)

        async with serve(away) as url:
            policies = {"digest": {"digest": {"username": USER, "password": PASSWORD}}}
            policy = policies.get(scheme) or oauth2(url)
            with pytest.raises(FunctionError):
                await get(http, context, url, policy, redirect=True)
    assert seen == [None]


@pytest.mark.parametrize(
    "policy",
    [
        {"basic": {"username": "hidden-name"}},
        {"bearer": {"token": 12345678}},
        {"basic": "hidden-text"},
        {"oauth2": {"authority": "x", "grant": "hidden-grant"}},
        {
            "oauth2": {
                "authority": "not a uri",
                "grant": "client_credentials",
                "client": {"id": "x"},
            }
        },
        {},
    ],
)
async def test_unusable_credentials_are_refused_without_being_quoted(
    context: TaskContext, http: HttpFunction, policy: Any
) -> None:
    with pytest.raises(FunctionError) as raised:
        await get(http, context, "http://127.0.0.1:9", policy)
    assert not raised.value.retryable
    assert "hidden" not in raised.value.detail
    assert "12345678" not in raised.value.detail


async def test_a_secret_may_be_the_token_itself(
    serve: Any, context: TaskContext, http: HttpFunction
) -> None:
    async with serve(IdentityServer(good={"whole"}).answer) as url:
        assert await get(http, context, url, {"bearer": "whole"}) == {"fine": True}


async def test_credentials_are_hidden_from_what_the_task_says(
    serve: Any, context: TaskContext, http: HttpFunction
) -> None:
    server = IdentityServer()
    async with serve(server.answer) as url:
        await get(http, context, url, oauth2(url))
    (token,) = server.good
    assert {token, CLIENT_SECRET} <= context.hiding.secrets
