"""The command line against the running product: output and exit codes."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.ids import uuid7
from kwe.examples import POLICIES, REFUND_POLICY, examples_folder
from kwe.local.stack import LocalStack

EXAMPLES = examples_folder(Path(__file__))
WORKFLOW = EXAMPLES / REFUND_POLICY / "workflow.yaml"

Kwe = Callable[..., Any]


@pytest.fixture
def filled(kwe: Kwe) -> Kwe:
    kwe("collections", "create", "policies")
    assert kwe("workflows", "apply", str(WORKFLOW)).code == 0
    return kwe


def test_files_are_ingested_and_searched(filled: Kwe) -> None:
    files = [
        str(EXAMPLES / POLICIES / f"{name}.md") for name in ("refunds", "shipping", "warranty")
    ]
    ended = filled("collections", "ingest", "policies", *files)
    assert ended.code == 0
    assert ended.out.count("ready") == 3
    found = filled("collections", "search", "policies", "lost parcel to Germany", "-o", "json")
    hits = json.loads(found.out)
    assert hits[0]["id"] == "shipping.md"


def test_running_prints_the_output_alone(filled: Kwe) -> None:
    ended = filled("run", "support/refund-policy", "--input", '{"question": "Is it a gift?"}')
    assert ended.code == 0
    assert set(json.loads(ended.out)) >= {"answer", "citations"}
    assert "execution" in ended.err


def test_watching_shows_events_as_they_come(filled: Kwe) -> None:
    ended = filled("run", "support/refund-policy", "-i", "question: How long?", "--watch")
    assert ended.code == 0
    assert "workflow.started" in ended.out
    assert "workflow.completed" in ended.out


def test_a_run_that_faults_ends_with_1(filled: Kwe, project: Path) -> None:
    definition = """
document: {dsl: '1.0.3', namespace: tests, name: faulting, version: '1.0.0'}
do:
  - refuse:
      raise: {error: {type: https://example.com/refused, status: 400, title: Refused, detail: as asked}}
"""
    (project / "faulting.yaml").write_text(definition)
    assert filled("workflows", "apply", "faulting.yaml").code == 0
    ended = filled("run", "tests/faulting")
    assert ended.code == 1
    assert "as asked" in ended.err


def test_a_run_that_takes_too_long_ends_with_5_and_goes_on(filled: Kwe, project: Path) -> None:
    (project / "slow.yaml").write_text("""
document: {dsl: '1.0.3', namespace: tests, name: slow, version: '1.0.0'}
do:
  - pause: {wait: {minutes: 10}}
""")
    assert filled("workflows", "apply", "slow.yaml").code == 0
    assert filled("run", "tests/slow", "--timeout", "0.3").code == 5
    started = filled("run", "tests/slow", "--detach").out.strip()
    why = filled("executions", "why", started)
    assert (why.code, "pause" in why.out) == (0, True)
    assert filled("executions", "suspend", started).code == 0
    assert filled("executions", "resume", started).code == 0
    assert filled("executions", "cancel", started, "--reason", "enough").code == 0
    again = filled("executions", "cancel", started)
    assert again.code == 1
    shown = json.loads(filled("executions", "show", started, "-o", "json").out)
    assert shown["status"] == "cancelled"
    history = json.loads(filled("executions", "history", started, "-o", "json").out)
    assert [one["sequence"] for one in history] == list(range(1, len(history) + 1))
    assert history[-1]["type"] == "workflow.cancelled"
    for open_one in json.loads(
        filled(
            "executions",
            "list",
            "--workflow",
            "tests/slow",
            "--status",
            "waiting,running",
            "-o",
            "json",
        ).out
    ):
        assert filled("executions", "cancel", open_one["id"]).code == 0


def test_tables_are_for_people(filled: Kwe) -> None:
    started = filled("run", "support/refund-policy", "-i", "question: How long?", "--detach")
    assert filled("executions", "watch", started.out.strip()).code == 0
    shown = filled("executions", "show", started.out.strip())
    assert "conclude" in shown.out
    listed = filled("executions", "list", "--limit", "3")
    assert "support/refund-policy 1.0.0" in listed.out
    assert "support/refund-policy" in filled("workflows", "list").out
    assert "namespace: support" in filled("workflows", "get", "support/refund-policy").out
    assert "policies" in filled("collections", "list").out
    assert filled("dead-letters", "list").code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "support/nothing"],
        ["executions", "show", "01890000-0000-7000-8000-000000000000"],
        ["executions", "cancel", "01890000-0000-7000-8000-000000000000"],
        ["workflows", "get", "support/nothing"],
        ["collections", "search", "nothing", "question"],
        ["admin", "create-key", "--organization", "nobody"],
    ],
)
def test_what_does_not_exist_ends_with_3(kwe: Kwe, arguments: list[str]) -> None:
    ended = kwe(*arguments)
    assert ended.code == 3
    assert len(ended.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "support/refund-policy", "-i", '{"question": }'], "line 1, column 14"),
        (["run", "support/refund-policy", "-i", "@none.json"], "none.json"),
        (["run", "refund-policy"], "namespace/name"),
        (["collections", "ingest", "policies", "none.md"], "none.md"),
        (
            ["admin", "create-key", "--organization", "default", "--scopes", "everything"],
            "everything",
        ),
    ],
)
def test_wrong_usage_ends_with_2(kwe: Kwe, arguments: list[str], said: str) -> None:
    ended = kwe(*arguments)
    assert ended.code == 2
    assert said in ended.err


def test_a_wrong_definition_is_refused_with_places_and_advice(kwe: Kwe, project: Path) -> None:
    (project / "wrong.yaml").write_text("""
document: {dsl: '1.0.3', namespace: tests, name: wrong, version: '1.0.0'}
do:
  - a: {set: {x: 1}, then: nowhere}
""")
    applied = kwe("workflows", "apply", "wrong.yaml")
    assert applied.code == 2
    assert "line 4" in applied.err
    validated = kwe("workflows", "validate", "wrong.yaml")
    assert validated.code == 1
    assert "wrong.yaml:4:" in validated.out


def test_a_wrong_key_ends_with_4(
    kwe: Kwe, monkeypatch: pytest.MonkeyPatch, stack: LocalStack
) -> None:
    monkeypatch.setenv("KWE_URL", stack.url)
    monkeypatch.setenv("KWE_API_KEY", "kwe_wrong")
    assert kwe("executions", "list").code == 4


def test_a_key_may_do_what_its_scopes_say_and_no_more(
    kwe: Kwe, monkeypatch: pytest.MonkeyPatch, stack: LocalStack
) -> None:
    arguments = ("--organization", "default", "--scopes", "executions:read")
    created = kwe("admin", "create-key", *arguments)
    assert created.code == 0
    monkeypatch.setenv("KWE_URL", stack.url)
    monkeypatch.setenv("KWE_API_KEY", created.out.strip())
    assert kwe("executions", "list").code == 0
    assert kwe("collections", "list").code == 4


def test_a_key_is_listed_and_opens_nothing_once_it_is_revoked(
    kwe: Kwe, monkeypatch: pytest.MonkeyPatch, stack: LocalStack
) -> None:
    key = kwe("admin", "create-key", "--organization", "default", "--name", "lent").out.strip()
    listing = ("admin", "list-keys", "--organization", "default")
    assert key not in kwe(*listing).out
    (lent,) = (
        each for each in json.loads(kwe(*listing, "-o", "json").out) if each["name"] == "lent"
    )
    assert (lent["state"], lent["scopes"]) == ("valid", ["admin"])

    assert kwe("admin", "revoke-key", lent["id"]).code == 0

    monkeypatch.setenv("KWE_URL", stack.url)
    monkeypatch.setenv("KWE_API_KEY", key)
    assert kwe("executions", "list").code == 4
    assert " revoked" in kwe(*listing).out
    assert kwe("admin", "revoke-key", str(uuid7())).code == 3


def test_organisations_do_not_see_each_other(
    kwe: Kwe, monkeypatch: pytest.MonkeyPatch, stack: LocalStack
) -> None:
    mine = kwe("executions", "list", "-o", "json")
    assert json.loads(mine.out)
    assert kwe("admin", "create-organization", "other").code == 0
    key = kwe("admin", "create-key", "--organization", "other").out.strip()
    monkeypatch.setenv("KWE_URL", stack.url)
    monkeypatch.setenv("KWE_API_KEY", key)
    assert json.loads(kwe("executions", "list", "-o", "json").out) == []
    assert kwe("executions", "show", json.loads(mine.out)[0]["id"]).code == 3


def test_the_doctor_finds_nothing(kwe: Kwe) -> None:
    ended = kwe("doctor")
    assert ended.code == 0, ended.out


def test_migrating_again_applies_nothing(
    kwe: Kwe, monkeypatch: pytest.MonkeyPatch, stack: LocalStack
) -> None:
    monkeypatch.setenv("DATABASE_URL", stack.environment.database_url)
    ended = kwe("migrate")
    assert (ended.code, ended.out.strip()) == (0, "nothing to apply")


def up(folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "from kwe.cli.main import main; main()",
            "up",
            "--folder",
            str(folder),
        ],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_taken_port_is_one_clear_line(stack: LocalStack, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        ended = up(
            tmp_path / ".kwe",
            PORT=port,
            DATABASE_URL=stack.environment.database_url,
            REDIS_URL=stack.environment.redis_url,
        )
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert f"port {port}" in ended.stderr


def test_a_folder_in_use_is_one_clear_line(stack: LocalStack) -> None:
    ended = up(stack.folder)
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert "in use by process" in ended.stderr


def test_an_event_from_the_terminal_ends_a_listener(kwe: Kwe, project: Path) -> None:
    definition = """
document: {dsl: '1.0.3', namespace: tests, name: listening, version: '1.0.0'}
do:
- hear:
    listen: {to: {one: {with: {type: com.example.paid, data: '${ .order == 7 }'}}}, read: envelope}
- thank:
    emit: {event: {with: {type: com.example.thanks, subject: '${ .[0].subject }'}}}
"""
    file = project / "listening.yaml"
    file.write_text(definition)
    assert kwe("workflows", "apply", str(file)).code == 0
    started = kwe("run", "tests/listening", "--detach")
    assert started.code == 0, started.err
    id = started.out.split()[-1]
    data = ("--data", "order: 7", "--subject", "s-1", "-a", "region=eu", "--id", "p-1")
    assert "1 kept" in kwe("events", "send", "com.example.paid", *data).err
    watched = kwe("executions", "watch", id)
    assert "workflow.completed" in watched.out
    assert "com.example.thanks" in watched.out
    assert "1 of them had come before" in kwe("events", "send", "com.example.paid", *data).err
    assert kwe("events", "send").code == 2
