"""What the command line says and how it ends, without a server."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kwe.cli.failures import UsageProblem
from kwe.cli.inputs import parse_text
from kwe.cli.main import COMMANDS, run


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("KWE_URL", "KWE_API_KEY", "DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"]) == 0
    assert f"Usage: kwe {command}" in capsys.readouterr().out


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom kwe.cli.main import run\nrun(['--help'])\n"
        "sys.exit(any(name in sys.modules for name in ('aiohttp', 'pydantic', 'rich', 'asyncpg')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0


def test_missing_credentials_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["executions", "list"]) == 4
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "KWE_API_KEY" in lines[0]


def test_an_unreachable_server_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KWE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("KWE_API_KEY", "key")
    monkeypatch.setattr("kwe.cli.connecting.PATIENCE_SECONDS", 0.0)
    assert run(["executions", "list"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_an_unknown_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["flurb"]) == 2
    assert "flurb" in capsys.readouterr().err


def test_without_a_database_admin_says_where_to_find_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["admin", "create-organization", "acme"]) == 4
    assert "DATABASE_URL" in capsys.readouterr().err


def test_an_unreachable_database_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:9/none")
    assert run(["migrate"]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert "127.0.0.1:9" in error


def test_a_missing_file_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["workflows", "apply", "none.yaml"]) == 2
    assert "none.yaml" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"question": }', "line 1, column 14"),
        ('{"a": 1,\n "b" 2}', "line 2, column 6"),
        ("a: [1, 2\nb: 3", "line 2"),
        ('{"a": NaN}', "NaN"),
    ],
)
def test_bad_input_is_shown_with_its_place(text: str, place: str) -> None:
    with pytest.raises(UsageProblem, match=place):
        parse_text(text, "--input")


def test_input_may_be_yaml() -> None:
    assert parse_text("question: Is it on?\non: yes", "--input") == {
        "question": "Is it on?",
        "on": "yes",
    }


def test_a_new_project_has_a_test_that_passes(tmp_path: Path) -> None:
    assert run(["init", "mine"]) == 0
    done = subprocess.run(
        [sys.executable, "test_functions.py"],
        cwd=tmp_path / "mine",
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "1 passed\n"), done.stderr


def test_a_new_project_has_a_valid_workflow() -> None:
    from workflow.document.catalog import Functions, FunctionSpec
    from workflow.document.loader import load_document
    from workflow.document.validation import examine

    assert run(["init", "mine"]) == 0
    greet = FunctionSpec(name="greet", version="1.0.0", queue="greetings")
    loaded = load_document(Path("mine/workflow.yaml").read_bytes(), "application/yaml")
    assert not examine(loaded, functions=Functions([greet])).diagnostics


def test_a_new_project_never_replaces_files(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine").mkdir()
    Path("mine/functions.py").write_text("precious")
    assert run(["init", "mine"]) == 2
    assert Path("mine/functions.py").read_text() == "precious"
    assert "there already" in capsys.readouterr().err


def test_wrong_settings_are_told_all_at_once_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name, value in (("PORT", "banana"), ("RATE_LIMIT_WINDOW", "soon"), ("LOG_LEVEL", "loud")):
        monkeypatch.setenv(name, value)
    assert run(["up", "--folder", str(tmp_path / "kwe")]) == 2
    said = capsys.readouterr().err
    assert [name in said for name in ("PORT:", "RATE_LIMIT_WINDOW", "LOG_LEVEL")] == [True] * 3
    assert said.count("LOG_LEVEL") == 1
    assert "banana" not in said
    assert not (tmp_path / "kwe").exists()


def test_a_redis_that_does_not_answer_is_told_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://:hidden@127.0.0.1:9/0")
    assert run(["up", "--folder", str(tmp_path / "kwe")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "Redis at 127.0.0.1:9 cannot be used" in line
    assert "hidden" not in line
    assert not (tmp_path / "kwe").exists()


def test_a_folder_that_cannot_be_made_is_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    assert run(["up", "--folder", str(tmp_path / "file" / "kwe")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "file/kwe cannot be used" in line
