"""The supervisor: everybody ready, crashes repaired, an orderly end, and no orphans."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from embedded import ServiceSpec, ServiceStatus, Signals, StartFailed, State, Supervisor
from embedded.readiness import is_ready

Supervise = Callable[..., Supervisor]

FAKE = Path(__file__).with_name("fake_service.py")

OWNER = """
import asyncio, os, sys, time
from pathlib import Path
from embedded import ServiceSpec, Supervisor

async def main():
    supervisor = Supervisor(logs=Path(sys.argv[1]), metrics_port_first=int(sys.argv[3]))
    env = {"NAME": "child", "JOURNAL": sys.argv[1] + "/journal"}
    spec = ServiceSpec(name="child", argv=[sys.executable, sys.argv[2], "well"], env=env)
    await supervisor.start([spec])
    print(supervisor.status("child").pid, flush=True)
    time.sleep(600)

asyncio.run(main())
"""


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    file = tmp_path / "journal"
    file.touch()
    return file


def service(name: str, journal: Path, *, manner: str = "well", stage: int = 0) -> ServiceSpec:
    return ServiceSpec(
        name=name,
        argv=[sys.executable, str(FAKE), manner],
        env={"NAME": name, "JOURNAL": str(journal)},
        stage=stage,
    )


@pytest.fixture
def supervisor(tmp_path: Path, ports: Any) -> Supervise:
    return partial(
        Supervisor,
        logs=tmp_path / "logs",
        metrics_port_first=ports.take(10),
        grace_seconds=20.0,
    )


def pid_of(status: ServiceStatus) -> int:
    assert status.pid is not None
    return status.pid


def lines(journal: Path) -> list[str]:
    return journal.read_text().splitlines()


def is_alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def child_of_a_killed_owner(folder: Path, port: int) -> int:
    """Another process supervises a service, and is killed. The process id of the service."""
    argv = [sys.executable, "-c", OWNER, folder, FAKE, str(port)]
    owner = subprocess.Popen(argv, stdout=subprocess.PIPE)
    try:
        assert owner.stdout is not None
        return int(owner.stdout.readline())
    finally:
        owner.kill()
        owner.communicate()


async def gone(pid: int) -> None:
    """Return once no process has this id, zombies aside."""
    async with asyncio.timeout(20):
        while is_alive(pid):  # noqa: ASYNC110 - not a child of ours, so it cannot be awaited
            await asyncio.sleep(0.02)


async def test_all_are_ready_on_ports_of_their_own(supervisor: Supervise, journal: Path) -> None:
    async with supervisor() as running:
        await running.start([service("one", journal), service("two", journal)])
        chosen = {status.metrics_port for status in running.statuses()}
        assert len(chosen) == 2
        for port in chosen:
            assert await is_ready("127.0.0.1", port)


async def test_a_killed_process_is_started_again(supervisor: Supervise, journal: Path) -> None:
    async with supervisor() as running:
        await running.start([service("one", journal), service("two", journal)])
        before, neighbour = running.status("one"), running.status("two")
        running.kill("one")
        await running.wait_restarted("one", restarts=1)
        after = running.status("one")
        assert after.pid not in {None, before.pid}
        assert after.metrics_port == before.metrics_port
        assert running.status("two") == neighbour


async def test_it_is_started_again_after_every_crash(supervisor: Supervise, journal: Path) -> None:
    async with supervisor() as running:
        await running.start([service("one", journal)])
        for restarts in (1, 2):
            running.kill("one")
            await running.wait_restarted("one", restarts=restarts)


async def test_a_crash_takes_the_workers_of_the_process_with_it(
    supervisor: Supervise, journal: Path
) -> None:
    async with supervisor() as running:
        await running.start([service("one", journal, manner="worker")])
        worker = int(lines(journal)[0].split()[2])
        running.kill("one")
        await gone(worker)


async def test_what_never_becomes_ready_is_an_error_that_quotes_the_log(
    supervisor: Supervise, journal: Path
) -> None:
    async with supervisor() as running:
        await running.start([service("good", journal)])
        specs = [service("bad", journal, manner="broken"), service("fine", journal)]
        with pytest.raises(StartFailed, match="DATABASE_URL is wrong"):
            await running.start(specs)
        assert [status.name for status in running.statuses()] == ["good"]
        await running.start([service("bad", journal)])


async def test_the_highest_stage_has_drained_before_the_next_is_told(
    supervisor: Supervise, journal: Path
) -> None:
    async with supervisor() as running:
        await running.start([service("engine", journal), service("edge", journal, stage=1)])
    assert lines(journal) == [
        "edge told to stop",
        "edge stopped",
        "engine told to stop",
        "engine stopped",
    ]
    assert {status.state for status in running.statuses()} == {State.STOPPED}


async def test_who_does_not_stop_in_time_is_killed(supervisor: Supervise, journal: Path) -> None:
    async with supervisor(grace_seconds=0.2) as running:
        await running.start([service("one", journal, manner="stubborn")])
    assert running.status("one").exit_code == -signal.SIGKILL


async def test_a_hurry_ends_the_wait_for_the_stubborn(supervisor: Supervise, journal: Path) -> None:
    running = supervisor(grace_seconds=600)
    await running.start([service("one", journal, manner="stubborn")])
    async with Signals() as signals:
        os.kill(os.getpid(), signal.SIGINT)
        await signals.stop.wait()
        stopping = asyncio.create_task(running.stop(hurry=signals.hurry))
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(20):
            await stopping
    assert running.status("one").exit_code == -signal.SIGKILL


async def test_a_killed_supervisor_leaves_nothing_running(tmp_path: Path, ports: Any) -> None:
    child = child_of_a_killed_owner(tmp_path, ports.take())
    await gone(child)


async def test_every_change_of_state_is_told(supervisor: Supervise, journal: Path) -> None:
    heard: list[State] = []
    running = supervisor(notify=lambda status: heard.append(status.state))
    async with running:
        await running.start([service("one", journal)])
        os.kill(pid_of(running.status("one")), signal.SIGKILL)
        await running.wait_restarted("one", restarts=1)
    starting = [State.STARTING, State.READY]
    assert heard == [*starting, State.CRASHED, *starting, State.STOPPED]
