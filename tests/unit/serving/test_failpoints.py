"""Failpoints kill real processes here: small ones, made for it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

PASSES = """
import sys
from common.serving.failpoints import failpoint
at = failpoint(sys.argv[1], ("here", "there"))
for name in sys.argv[2:]:
    at(name)
"""


def passing(armed: str, *places: str) -> int:
    """How a process ends that comes by these places; negative for a signal."""
    done = subprocess.run([sys.executable, "-c", PASSES, armed, *places], check=False, timeout=60)
    return done.returncode


def test_a_name_kills_at_its_place_and_nowhere_else() -> None:
    assert passing("here", "there") == 0
    assert passing("here", "there", "here") == -signal.SIGKILL
    assert passing("elsewhere", "here", "there", "elsewhere") == 0


def test_a_file_in_the_folder_kills_once(tmp_path: Path) -> None:
    (tmp_path / "here").touch()

    assert passing(f"{tmp_path}/", "there", "here") == -signal.SIGKILL
    assert not (tmp_path / "here").exists()
    assert passing(f"{tmp_path}/", "there", "here") == 0


def test_the_file_may_name_another_signal(tmp_path: Path) -> None:
    (tmp_path / "here").write_text("SIGTERM\n")

    assert passing(f"{tmp_path}/", "here") == -signal.SIGTERM
