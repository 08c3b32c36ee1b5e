"""Ports: free ones are found, taken ones are named, and a folder keeps its own."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded import PortTaken
from embedded.ports import HOST, RememberedPort, free_port, is_free, require_free
from embedded.supervised import PortPool

FIRST = 27000


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server((HOST, free_port(FIRST))) as squatter:
        yield squatter.getsockname()[1]


def remembered(folder: Path, *, first: int, fixed: int | None = None) -> RememberedPort:
    return RememberedPort(folder / "port", first=first, purpose="for a test", fixed=fixed)


def test_a_listening_port_is_not_free(taken: int) -> None:
    assert not is_free(taken)
    assert free_port(taken) > taken


def test_ports_to_avoid_are_avoided() -> None:
    first = free_port(FIRST)
    assert free_port(first, avoid={first}) > first


def test_a_taken_port_is_named_with_its_purpose(taken: int) -> None:
    with pytest.raises(PortTaken, match=f"port {taken} .* for a test"):
        require_free(taken, purpose="for a test")


def test_a_folder_keeps_its_port(tmp_path: Path) -> None:
    chosen = remembered(tmp_path, first=free_port(FIRST)).choose()
    assert remembered(tmp_path, first=FIRST + 500).choose() == chosen


def test_a_folder_gives_up_its_port_when_somebody_else_has_it(tmp_path: Path, taken: int) -> None:
    (tmp_path / "port").write_text(str(taken))
    chosen = remembered(tmp_path, first=taken).choose()
    assert chosen != taken
    assert (tmp_path / "port").read_text() == f"{chosen}\n"


def test_a_lost_port_is_not_chosen_again(tmp_path: Path) -> None:
    port = remembered(tmp_path, first=free_port(FIRST))
    first = port.choose()
    port.lost(first)
    assert port.choose() != first


def test_nonsense_in_the_file_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "port").write_text("nonsense")
    assert remembered(tmp_path, first=FIRST).choose() >= FIRST


def test_a_port_that_was_asked_for_is_never_exchanged(tmp_path: Path, taken: int) -> None:
    port = remembered(tmp_path, first=FIRST, fixed=taken)
    assert not port.changeable
    with pytest.raises(PortTaken):
        port.choose()


def test_services_keep_their_metrics_ports_apart() -> None:
    pool = PortPool(free_port(FIRST))
    one, two = pool.port_of("one"), pool.port_of("two")
    assert one != two
    assert pool.port_of("one") == one


def test_a_service_moves_when_its_metrics_port_was_taken() -> None:
    pool = PortPool(free_port(FIRST))
    port = pool.port_of("one")
    with socket.create_server((HOST, port)):
        assert pool.port_of("one") != port
