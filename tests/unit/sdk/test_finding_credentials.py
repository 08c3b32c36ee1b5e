"""Where the client looks for its server and its key."""

import stat
from pathlib import Path

import pytest

from kwe.credentials import find_credentials, write_file
from kwe.errors import NotConfigured


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".kwe").mkdir()
    write_file(tmp_path / ".kwe", {"KWE_URL": "http://here:1", "KWE_API_KEY": "kept"})
    return tmp_path


def test_the_file_is_found_from_any_folder_below_it(project: Path) -> None:
    deep = project / "a" / "b"
    deep.mkdir(parents=True)
    found = find_credentials({}, deep)
    assert (found.url, found.api_key) == ("http://here:1", "kept")


def test_only_its_owner_may_read_the_file(project: Path) -> None:
    mode = stat.S_IMODE((project / ".kwe" / "credentials").stat().st_mode)
    assert mode == 0o600


def test_the_environment_wins_over_the_file(project: Path) -> None:
    found = find_credentials({"KWE_API_KEY": "given", "KWE_URL": "http://there"}, project)
    assert (found.url, found.api_key) == ("http://there", "given")


def test_a_key_from_the_environment_does_not_go_to_the_server_of_the_file(project: Path) -> None:
    assert find_credentials({"KWE_API_KEY": "given"}, project).url == "http://127.0.0.1:3000"


def test_without_any_the_message_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NotConfigured, match="KWE_API_KEY"):
        find_credentials({}, tmp_path)


def test_the_key_does_not_show_in_a_representation(project: Path) -> None:
    assert "kept" not in repr(find_credentials({}, project))
