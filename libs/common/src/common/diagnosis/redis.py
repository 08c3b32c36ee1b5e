"""Redis or Valkey: version, role, eviction, persistence, memory, clock; and the streams that work waits in."""

import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis.exceptions import AuthenticationError, ResponseError

from common.diagnosis.findings import Finding, judge_clock, ok, problem, warning
from common.streams import names
from common.streams.connection import Link

VERSION_MIN: Final = 7
MEMORY_SHARE_NOTICED: Final = 0.8
_APPENDING: Final = "appending to its file"
_WRITES: Final = {
    "aof_last_write_status": _APPENDING,
    "aof_last_bgrewrite_status": "rewriting its file",
    "rdb_last_bgsave_status": "a snapshot",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisFacts:
    product: str
    version: str
    """Of the product; Valkey also claims a version of Redis."""

    too_old: bool
    replica: bool
    eviction: str
    appends: bool
    """Whether every write goes to an append-only file."""

    snapshots: bool | None
    """Whether snapshots are taken; `None` where the server does not say."""

    write_failure: str
    """Which kind of write to its volume failed last; empty if none did."""

    memory_used: int
    memory_max: int
    skew_seconds: float


def why_refused(error: BaseException) -> str | None:
    """What an operator must mend, where waiting for Redis would not help: its password, or TLS."""
    for cause in _chain(error):
        if isinstance(cause, AuthenticationError):
            return "it refuses the password of REDIS_URL or REDIS_PASSWORD"
        if isinstance(cause, ssl.SSLCertVerificationError):
            return (
                f"its certificate is not accepted: {cause.verify_message.rstrip('.')}; "
                "see REDIS_TLS_ROOT_CERT"
            )
        if isinstance(cause, ssl.SSLError):
            return "the TLS handshake failed; if it does not speak TLS, set REDIS_TLS=false and use redis://"
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


async def look(link: Link) -> RedisFacts:
    """Raises `REDIS_ERRORS` where it does not answer."""
    before = time.time()
    clock, info, save = await link.pipeline([(b"TIME",), (b"INFO",), (b"CONFIG", b"GET", b"save")])
    after = time.time()
    # Who may not ask is not told; nothing is held against the server then.
    said = {} if isinstance(info, ResponseError) else _parsed(info)
    valkey = said.get("valkey_version")
    now = after if isinstance(clock, ResponseError) else int(clock[0]) + int(clock[1]) / 1_000_000
    return RedisFacts(
        product="Valkey" if valkey else "Redis",
        version=valkey or said.get("redis_version", "unknown"),
        too_old=_major(said.get("redis_version", "")) < VERSION_MIN,
        replica=said.get("role") == "slave",
        eviction=said.get("maxmemory_policy", "noeviction"),
        appends=said.get("aof_enabled") == "1",
        # Managed services forbid CONFIG; their documentation says what they do.
        snapshots=None if isinstance(save, ResponseError) else bool(save[1].strip()),
        write_failure=_write_failure(said),
        memory_used=int(said.get("used_memory", "0")),
        memory_max=int(said.get("maxmemory", "0")),
        skew_seconds=now - after if now > after else min(0.0, now - before),
    )


def judge(facts: RedisFacts) -> Iterator[Finding]:
    yield _judge_version(facts)
    if facts.replica:
        yield problem(
            "redis writes", f"{facts.product} is a replica", "point REDIS_URL at the primary"
        )
    yield _judge_eviction(facts)
    yield _judge_persistence(facts)
    if facts.memory_max and facts.memory_used > facts.memory_max * MEMORY_SHARE_NOTICED:
        share = facts.memory_used / facts.memory_max
        yield warning(
            "redis memory",
            f"{share:.0%} of maxmemory is used; when it is full, nothing new is started",
            "raise maxmemory, or lower EVENTS_RETENTION and EVENTS_MAX_LENGTH",
        )
    else:
        yield ok("redis memory", f"{facts.memory_used / 2**20:.0f} MiB used")
    yield judge_clock("redis clock", facts.product, facts.skew_seconds)


def _judge_version(facts: RedisFacts) -> Finding:
    text = f"{facts.product} {facts.version}"
    if facts.too_old:
        return problem(
            "redis version", f"{text} is too old", "use Redis 7 or newer, or Valkey 8 or newer"
        )
    return ok("redis version", text)


def _judge_eviction(facts: RedisFacts) -> Finding:
    if facts.eviction != "noeviction":
        return problem(
            "redis eviction",
            f"{facts.product} has maxmemory-policy {facts.eviction}, which drops streams when memory runs short",
            "set maxmemory-policy to noeviction, also in its configuration file",
        )
    return ok("redis eviction", "noeviction")


def _judge_persistence(facts: RedisFacts) -> Finding:
    check = "redis persistence"
    if facts.write_failure:
        # What it cannot append it refuses to accept; a snapshot it may do without.
        judged = problem if facts.write_failure == _APPENDING else warning
        return judged(
            check,
            f"{facts.product} cannot write to its volume: {facts.write_failure} failed",
            "is the volume full, or mounted read-only? Its own log says more",
        )
    if facts.appends:
        return ok(check, "an append-only file is kept")
    remedy = "set appendonly yes; nothing is lost for good without it, but a restart takes as long as republishing"
    if facts.snapshots:
        return warning(check, f"{facts.product} keeps snapshots only", remedy)
    if facts.snapshots is None:
        return warning(check, f"{facts.product} keeps no append-only file", remedy)
    return warning(check, f"{facts.product} keeps nothing on disk", remedy)


async def judge_streams(link: Link, partitions: int, queues: Sequence[str]) -> list[Finding]:
    """Whether every stream has its group, somebody reads it, and nothing has waited long in it."""
    wanted = {
        **{names.commands(number): names.ORCHESTRATOR_GROUP for number in range(partitions)},
        **{names.results(number): names.ORCHESTRATOR_GROUP for number in range(partitions)},
        **{names.tasks(queue): names.EXECUTOR_GROUP for queue in queues},
    }
    replies = await link.pipeline([(b"XINFO", b"GROUPS", stream) for stream in wanted])
    pairs = zip(wanted.items(), replies, strict=True)
    return _judge_groups([(stream, group, reply) for (stream, group), reply in pairs])


def _judge_groups(seen: Sequence[tuple[str, str, Any]]) -> list[Finding]:
    check = "streams"
    absent, idle, waiting = [], [], 0
    for stream, group, reply in seen:
        state = None if isinstance(reply, ResponseError) else _group(reply, group)
        if state is None:
            absent.append(stream)
            continue
        waiting += int(state.get("lag") or 0) + int(state.get("pending") or 0)
        if not int(state.get("consumers") or 0):
            idle.append(stream)
    if absent:
        return [
            warning(
                check,
                f"{len(absent)} of {len(seen)} streams have no readers' group yet, such as {absent[0]}",
                "start the services; they make what is missing, and publish what was lost",
            )
        ]
    if idle:
        return [
            warning(
                check,
                f"nobody reads {len(idle)} of {len(seen)} streams, such as {idle[0]}",
                "start the service that reads it",
            )
        ]
    return [ok(check, f"{len(seen)} with their groups, {waiting} entries waiting or in work")]


def _group(reply: Sequence[Sequence[Any]], name: str) -> Mapping[str, Any] | None:
    for fields in reply:
        pairs = zip(fields[::2], fields[1::2], strict=True)
        group = {key.decode(): value for key, value in pairs}
        if group.get("name") == name.encode():
            return group
    return None


def _write_failure(said: Mapping[str, str]) -> str:
    failed = (what for field, what in _WRITES.items() if said.get(field, "ok") != "ok")
    return next(failed, "")


def _parsed(info: bytes) -> dict[str, str]:
    lines = (line.partition(":") for line in info.decode(errors="replace").splitlines())
    return {name: value.strip() for name, _, value in lines if value}


def _major(version: str) -> int:
    first = version.partition(".")[0]
    return int(first) if first.isdecimal() else VERSION_MIN
