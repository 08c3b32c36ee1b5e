"""Stand-ins that speak the real protocols: an authorisation server of RFC 6749, and a server that asks for digests (RFC 7616)."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote_plus

import jwt
import orjson
from aiohttp import web

CLIENT, CLIENT_SECRET = "kwe", "client secret + of more than 32 bytes"
USER, PASSWORD = "ada", "pass:word+é"
ISSUER = "https://id.example"
_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

Parameters = dict[str, list[str]]


@dataclass
class IdentityServer:
    """Gives tokens under `/oauth2/token`, finds them good under `/resource`."""

    lifetime: int | None = 300
    gives_refresh_tokens: bool = False
    public_key: str = ""
    asked: list[Parameters] = field(default_factory=list)
    good: set[str] = field(default_factory=set)
    refresh_tokens: set[str] = field(default_factory=set)

    async def answer(self, request: web.Request) -> web.Response:
        match request.path:
            case "/resource":
                return self._resource(request)
            case "/realms/one/.well-known/openid-configuration":
                found = {"issuer": ISSUER, "token_endpoint": str(request.url.origin() / "tokens")}
                return web.json_response(found)
            case "/oauth2/token" | "/tokens":
                return await self._token(request)
            case _:
                return web.Response(status=404)

    def _resource(self, request: web.Request) -> web.Response:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or token not in self.good:
            return web.Response(status=401, headers={"WWW-Authenticate": "Bearer"})
        return web.json_response({"fine": True})

    async def _token(self, request: web.Request) -> web.Response:
        if request.method != "POST":
            return web.Response(status=405)
        given = await _parameters(request)
        self.asked.append(given)
        if not self._is_known(request, given):
            return _refusal("invalid_client", 401)
        if not self._is_granted(given):
            return _refusal("invalid_grant", 400)
        token = jwt.encode({"iss": ISSUER, "jti": secrets.token_hex(8)}, "k" * 32)
        self.good.add(token)
        answer: dict[str, Any] = {"access_token": token, "token_type": "Bearer"}
        if self.lifetime is not None:
            answer["expires_in"] = self.lifetime
        if self.gives_refresh_tokens:
            answer["refresh_token"] = refresh_token = secrets.token_hex(8)
            self.refresh_tokens.add(refresh_token)
        return web.json_response(answer, headers={"Cache-Control": "no-store"})

    def _is_known(self, request: web.Request, given: Parameters) -> bool:
        scheme, _, pair = request.headers.get("Authorization", "").partition(" ")
        if scheme == "Basic":
            id, _, secret = base64.b64decode(pair).decode().partition(":")
            return (unquote_plus(id), unquote_plus(secret)) == (CLIENT, CLIENT_SECRET)
        if given.get("client_assertion_type") == [_TYPE]:
            return self._is_asserted(str(request.url), given["client_assertion"][0])
        if "client_secret" in given:
            return (given["client_id"], given["client_secret"]) == ([CLIENT], [CLIENT_SECRET])
        return given.get("client_id", ["public"]) == ["public"]

    def _is_asserted(self, audience: str, assertion: str) -> bool:
        algorithm = jwt.get_unverified_header(assertion)["alg"]
        key = CLIENT_SECRET if algorithm == "HS256" else self.public_key
        required = {"require": ["iss", "sub", "aud", "exp", "jti"]}
        try:
            claims = jwt.decode(
                assertion, key, algorithms=["HS256", "RS256"], audience=audience, options=required
            )
        except jwt.PyJWTError:
            return False
        return claims["iss"] == claims["sub"] == CLIENT

    def _is_granted(self, given: Parameters) -> bool:
        match given["grant_type"]:
            case ["client_credentials"]:
                return True
            case ["password"]:
                return (given["username"], given["password"]) == ([USER], [PASSWORD])
            case ["refresh_token"]:
                (token,) = given["refresh_token"]
                known = token in self.refresh_tokens
                self.refresh_tokens.discard(token)  # each is good for once
                return known
            case ["urn:ietf:params:oauth:grant-type:token-exchange"]:
                return given["subject_token"] == ["of ada"] and "subject_token_type" in given
            case _:
                return False


async def _parameters(request: web.Request) -> Parameters:
    body = await request.read()
    if request.content_type == "application/json":
        found: dict[str, Any] = orjson.loads(body)
        return {name: one if isinstance(one, list) else [one] for name, one in found.items()}
    assert request.content_type == "application/x-www-form-urlencoded"
    return parse_qs(body.decode(), strict_parsing=True)


def _refusal(code: str, status: int) -> web.Response:
    answer = {"error": code, "error_description": f"you said {CLIENT_SECRET}"}
    return web.json_response(answer, status=status)


@dataclass
class DigestServer:
    algorithm: str
    nonce: str = field(default_factory=lambda: secrets.token_hex(8))
    bodies: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        header = request.headers.get("Authorization", "")
        self.bodies.append(await request.text())
        if header.startswith("Digest ") and self._is_right(request, header):
            return web.json_response({"fine": True})
        challenge = (
            f'Digest realm="here", qop="auth", algorithm={self.algorithm}, nonce="{self.nonce}", '
            'opaque="o"'
        )
        return web.Response(status=401, headers={"WWW-Authenticate": challenge})

    def _is_right(self, request: web.Request, header: str) -> bool:
        found = {
            name: quoted or plain
            for name, quoted, plain in re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', header)
        }
        one = self._hash(f"{USER}:here:{PASSWORD}")
        two = self._hash(f"{request.method}:{request.path_qs}")
        middle = f"{found['nc']}:{found['cnonce']}:{found['qop']}"
        expected = self._hash(f"{one}:{self.nonce}:{middle}:{two}")
        return found["nonce"] == self.nonce and found["response"] == expected

    def _hash(self, text: str) -> str:
        name = {"MD5": "md5", "SHA-256": "sha256"}[self.algorithm]
        return hashlib.new(name, text.encode(), usedforsecurity=False).hexdigest()
