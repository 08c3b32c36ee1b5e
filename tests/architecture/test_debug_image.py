"""The image for looking into processes: pinned, small, and never a part of what runs."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_its_tool_is_pinned_and_is_what_it_starts() -> None:
    text = (ROOT / "deploy/debug/Dockerfile").read_text()
    assert re.search(r"py-spy==\d+\.\d+\.\d+", text)
    assert 'ENTRYPOINT ["py-spy"]' in text


def test_no_image_that_serves_carries_it() -> None:
    for file in (*ROOT.glob("services/*/Dockerfile"), ROOT / "deploy/migrate/Dockerfile"):
        assert "py-spy" not in file.read_text(), file
