"""Cursors survive the process, and a crash while they are written."""

from pathlib import Path

import pytest

from kwe.errors import NotConfigured
from kwe.events import Cursor, CursorFile


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    cursor = Cursor("5-1", 7, "g", "2026-01-01T00:00:00+00:00", {"a": 3})
    CursorFile(tmp_path / "cursor").save(cursor)
    assert CursorFile(tmp_path / "cursor").load() == cursor


def test_there_is_none_at_first(tmp_path: Path) -> None:
    assert CursorFile(tmp_path / "cursor").load() is None


def test_half_a_file_beside_it_changes_nothing(tmp_path: Path) -> None:
    CursorFile(tmp_path / "cursor").save(Cursor("5-1"))
    (tmp_path / "cursor.new").write_text('{"stream_id": "6')
    loaded = CursorFile(tmp_path / "cursor").load()
    assert loaded is not None
    assert loaded.stream_id == "5-1"


def test_another_file_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "cursor").write_text("hello")
    with pytest.raises(NotConfigured, match="cursor"):
        CursorFile(tmp_path / "cursor").load()
