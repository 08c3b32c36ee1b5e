"""Migration files: found by owner, in order, named so that the order is plain."""

from pathlib import Path

import pytest

from common.errors import ConfigurationError
from common.migrations import Migration, discover


def owner(folder: Path, name: str, files: dict[str, str]) -> str:
    package = folder / name / "migrations"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").touch()
    (package / "__init__.py").touch()
    for filename, sql in files.items():
        (package / filename).write_text(sql)
    return f"{name}.migrations"


def test_files_come_in_the_order_of_their_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    package = owner(
        tmp_path,
        "ordered_owner",
        {"0002_b.sql": "SELECT 2", "0001_a.sql": "SELECT 1", "notes.txt": ""},
    )
    assert [one.label for one in discover([package])] == [
        "ordered_owner/0001_a.sql",
        "ordered_owner/0002_b.sql",
    ]


def test_an_owner_that_is_not_installed_is_passed_over() -> None:
    assert discover(["no_such_service.migrations"]) == []


@pytest.mark.parametrize(
    "files",
    [{"first.sql": ""}, {"1_a.sql": ""}, {"0001_a.sql": "", "0001_b.sql": ""}, {"0001-a.sql": ""}],
)
def test_a_name_that_does_not_say_its_place_is_refused(
    files: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    name = f"misnamed_owner_{abs(hash(request.node.name))}"
    with pytest.raises(ConfigurationError, match="NNNN_what_it_does"):
        discover([owner(tmp_path, name, files)])


def test_line_ends_do_not_change_a_checksum() -> None:
    unix = Migration(owner="o", name="0001_a.sql", sql="SELECT 1;\nSELECT 2;\n")
    windows = Migration(owner="o", name="0001_a.sql", sql="SELECT 1;\r\nSELECT 2;\r\n")
    other = Migration(owner="o", name="0001_a.sql", sql="SELECT 1;\nSELECT 3;\n")
    assert unix.checksum == windows.checksum != other.checksum
