"""`python -m common.migrations`, as a deployment job runs it."""

import asyncio
import os
import sys


async def run(environ: dict[str, str]) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "common.migrations",
        env={"PATH": os.environ["PATH"], **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    return process.returncode, output.decode(), errors.decode()


async def test_it_applies_what_is_missing_and_says_so(bare_database: str) -> None:
    code, first, errors = await run({"DATABASE_URL": bare_database})
    assert (code, errors) == (0, "")
    assert first
    code, second, _ = await run({"DATABASE_URL": bare_database})
    assert (code, second) == (0, "nothing to apply\n")


async def test_an_unreachable_database_is_one_line_and_exit_code_2() -> None:
    code, output, errors = await run({"DATABASE_URL": "postgresql://kwe:hunter2@127.0.0.1:1/kwe"})
    assert (code, output) == (2, "")
    assert errors.startswith("migrate: PostgreSQL at 127.0.0.1:1 cannot be used")
    assert errors.count("\n") == 1
    assert "hunter2" not in errors


async def test_a_wrong_setting_is_one_message_and_exit_code_2() -> None:
    code, output, errors = await run({"DATABASE_URL": "mysql://somewhere", "DATABASE_SSL": "maybe"})
    assert (code, output) == (2, "")
    assert "DATABASE_URL: " in errors
    assert "DATABASE_SSL: " in errors
    assert "Traceback" not in errors
