"""Hostile expressions end within their limits, learn nothing, and disturb nobody."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from common.evaluation import EvaluationFailed, EvaluationPool

TIMEOUT_S = 2
STOPPED_WITHIN_S = TIMEOUT_S + 3
"""Far below for ever, and enough where other work slows everything down."""


@pytest.fixture
async def pool() -> AsyncIterator[EvaluationPool]:
    async with EvaluationPool(processes=2, spares=2, memory_mb=384, timeout_s=TIMEOUT_S) as pool:
        yield pool


@pytest.fixture
async def patient_pool() -> AsyncIterator[EvaluationPool]:
    """For limits other than that of time."""
    async with EvaluationPool(processes=2, spares=2, memory_mb=384, timeout_s=30) as pool:
        yield pool


async def reason_of(pool: EvaluationPool, source: str, current: Any = None) -> str:
    with pytest.raises(EvaluationFailed) as failure:
        await pool.evaluate(source, current, {})
    return failure.value.reason


BOMBS = {
    "a runaway loop": "def f: f; f",
    "endless recursion": "def f: 1 + f; f",
    "an endless stream": "[repeat(1)]",
    "a memory bomb": '"x" * 2000000000',
    "growing memory": 'last(range(100) as $_ | ["x" * 10000000 | explode])| [range(1e9)]',
    "a doubling string": 'reduce range(64) as $i ("x"; . + .)',
    "deep nesting": "reduce range(1000000) as $i (null; [.])",
    "a regular expression bomb": '("a" * 40) + "b" | test("^(a+)+$")',
    "a long range": "[range(1e12)] | length",
}


@pytest.mark.parametrize("source", BOMBS.values(), ids=BOMBS.keys())
async def test_a_bomb_is_stopped_while_another_evaluation_succeeds(
    pool: EvaluationPool, source: str
) -> None:
    assert await pool.evaluate("1 + 1", None, {}) == 2
    started = time.monotonic()
    bomb = asyncio.create_task(reason_of(pool, source))
    for number in range(20):
        assert await pool.evaluate(". + $n", 1, {"n": number}) == number + 1
    assert await bomb
    assert time.monotonic() - started < STOPPED_WITHIN_S
    assert await pool.evaluate(".a", {"a": 1}, {}) == 1


async def test_only_what_took_too_long_is_called_slow(
    pool: EvaluationPool, patient_pool: EvaluationPool
) -> None:
    assert "took longer than 2 s" in await reason_of(pool, "def f: f; f")
    assert "384 MB" in await reason_of(patient_pool, '"x" * 2000000000')


@pytest.mark.parametrize("source", ["halt", "1 | halt_error", '"bye" | halt_error(0)'])
async def test_halt_does_not_end_the_process(pool: EvaluationPool, source: str) -> None:
    try:
        assert await pool.evaluate(source, None, {}) is None
    except EvaluationFailed:
        pass
    assert await pool.evaluate("3", None, {}) == 3


@pytest.mark.parametrize("source", ["env", "$ENV", "env.PATH // {}", "$ENV.HOME // {}"])
async def test_the_environment_is_empty(pool: EvaluationPool, source: str) -> None:
    assert os.environ
    assert await pool.evaluate(source, None, {}) == {}


async def test_files_cannot_be_read(pool: EvaluationPool, tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text('{"secret": "found"}')
    (tmp_path / "module.jq").write_text('def secret: "found";')
    sources = [
        f'import "secret" as $s {{search: "{tmp_path}"}}; $s',
        f'import "module" as m {{search: "{tmp_path}"}}; m::secret',
        f'include "module" {{search: "{tmp_path}"}}; secret',
        'import "etc/passwd" as $s {search: "/"}; $s',
    ]
    for source in sources:
        assert "found" not in await reason_of(pool, source)
    assert await pool.evaluate("input_filename", None, {}) is None
    assert "found" not in str(await pool.evaluate("[inputs]", None, {}))


async def test_a_cancelled_evaluation_frees_its_turn() -> None:
    async with EvaluationPool(processes=1, spares=1, timeout_s=60) as pool:
        stuck = asyncio.create_task(pool.evaluate("def f: f; f", None, {}))
        await pool_is_busy(pool)
        waiting = asyncio.create_task(pool.evaluate("1", None, {}))
        stuck.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stuck
        assert await waiting == 1


async def test_nothing_runs_before_the_first_use_unless_asked_to() -> None:
    before = children()
    async with EvaluationPool(processes=2) as pool:
        assert children() == before
        assert await pool.evaluate("1", None, {}) == 1
        assert children() > before
    assert children() == before


async def test_stopping_fails_what_is_under_way() -> None:
    pool = EvaluationPool(processes=1, timeout_s=60)
    await pool.start()
    stuck = asyncio.create_task(pool.evaluate("def f: f; f", None, {}))
    await pool_is_busy(pool)
    await pool.stop()
    with pytest.raises(EvaluationFailed):
        await stuck
    with pytest.raises(EvaluationFailed):
        await pool.evaluate("1", None, {})


async def test_many_evaluations_share_the_processes(pool: EvaluationPool) -> None:
    results = await asyncio.gather(
        *(pool.evaluate("[range($n)] | add", None, {"n": n + 1}) for n in range(50))
    )
    assert results == [n * (n + 1) // 2 for n in range(50)]


async def test_several_values_and_errors_are_failures_and_no_value_is_null(
    pool: EvaluationPool,
) -> None:
    assert await pool.evaluate("empty", None, {}) is None
    assert "more than one value" in await reason_of(pool, "1, 2")
    assert "boom" in await reason_of(pool, 'error("boom")')
    assert "syntax error" in await reason_of(pool, "1 +")


async def test_errors_do_not_quote_data(pool: EvaluationPool) -> None:
    for source in ("tonumber", ".[0]", ". - 1", "{(1 | tostring): 1} | .[$x]", "keys", ".[] = 1"):
        with pytest.raises(EvaluationFailed) as failure:
            await pool.evaluate(source, "sk-secret", {"x": ["sk-secret"]})
        assert "secret" not in failure.value.reason


async def test_a_large_result_is_refused(patient_pool: EvaluationPool) -> None:
    assert "too large" in await reason_of(patient_pool, '"x" * 9000000')
    assert len(await patient_pool.evaluate('"x" * 8000000', None, {})) == 8_000_000


async def test_large_data_and_exact_numbers_survive_the_trip(pool: EvaluationPool) -> None:
    rows = [{"id": 9007199254740993 + n, "text": "é" * 20} for n in range(20_000)]
    assert await pool.evaluate("[limit(2; .[])] | .[1].id", rows, {}) == 9007199254740994
    assert await pool.evaluate("def f: .; f", rows, {}) == rows


async def pool_is_busy(pool: EvaluationPool) -> None:
    deadline = time.monotonic() + 20
    while not pool.busy:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def children() -> int:
    me = str(os.getpid())
    return sum(
        1
        for stat in Path("/proc").glob("[0-9]*/stat")
        if (text := read(stat)) and text.rpartition(")")[2].split()[1] == me
    )


def read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
