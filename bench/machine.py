"""What the machine is, and how busy it was: processor time of named process trees and of everything else.

Read from /proc, so Linux only. A run during which others used more than `NOISE_CORES` is marked as noisy.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import asyncpg

NOISE_CORES: Final = 0.25
"""Cores that other processes may use on average before a run counts as noisy."""

TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
PROC: Final = Path("/proc")


@dataclass(frozen=True, slots=True)
class Process:
    parent: int
    own_s: float
    """Processor time of the process itself."""

    reaped_s: float
    """Processor time of its children that have ended."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Processor seconds used until now."""

    at: float
    machine_s: float
    groups_s: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Usage:
    """Average cores used between two samples."""

    seconds: float
    cores: Mapping[str, float]
    others: float

    @property
    def is_noisy(self) -> bool:
        return self.others > NOISE_CORES

    def per_unit_ms(self, units: int) -> dict[str, float]:
        """Processor milliseconds that one unit of work cost, by group."""
        return {
            name: round(cores * self.seconds * 1000 / units, 3)
            for name, cores in self.cores.items()
        }

    def as_json(self) -> dict[str, Any]:
        cores = {name: round(value, 2) for name, value in self.cores.items()}
        return {"cores": cores, "others": round(self.others, 2), "noisy": self.is_noisy}


def sample(roots: Mapping[str, int]) -> Sample:
    """`roots`: the process at the head of each group; its children belong to it. This process is `driver`."""
    table = _processes()
    children: dict[int, list[int]] = {}
    for pid, process in table.items():
        children.setdefault(process.parent, []).append(pid)
    groups = {name: _tree_s(pid, table, children) for name, pid in roots.items()}
    times = os.times()
    groups["driver"] = times.user + times.system + times.children_user + times.children_system
    return Sample(time.monotonic(), _machine_s(), groups)


def usage(before: Sample, after: Sample) -> Usage:
    seconds = after.at - before.at
    cores = {
        name: max(0.0, (used - before.groups_s.get(name, 0.0)) / seconds)
        for name, used in after.groups_s.items()
    }
    machine = (after.machine_s - before.machine_s) / seconds
    return Usage(seconds, cores, max(0.0, machine - sum(cores.values())))


def resident_mb(pid: int) -> float:
    """Resident memory of one process, shared pages included."""
    for line in (PROC / str(pid) / "status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return round(int(line.split()[1]) / 1024, 1)
    return 0.0


async def describe(database: asyncpg.Connection[Any]) -> dict[str, Any]:
    """The machine and the database. Refuses to go on where commits are not durable."""
    durability = {name: await database.fetchval(f"SHOW {name}") for name in _DURABILITY}
    unsafe = [name for name, value in durability.items() if value != "on"]
    if unsafe:
        raise SystemExit(f"PostgreSQL runs with {', '.join(unsafe)} off: nothing to be proud of.")
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "postgresql": await database.fetchval("SHOW server_version"),
        **durability,
        "commit_ms": await _commit_ms(database),
    }


_DURABILITY: Final = ("fsync", "synchronous_commit", "full_page_writes")


async def _commit_ms(database: asyncpg.Connection[Any], commits: int = 100) -> float:
    """Median of one small durable commit: most of any latency here is a number of these."""
    await database.execute("CREATE TABLE IF NOT EXISTS public.bench_commits (n integer)")
    took = []
    for n in range(commits):
        began = time.perf_counter()
        await database.execute("INSERT INTO public.bench_commits VALUES ($1)", n)
        took.append((time.perf_counter() - began) * 1000)
    await database.execute("DROP TABLE public.bench_commits")
    return round(sorted(took)[commits // 2], 2)


def _processor() -> str:
    for line in (PROC / "cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _processes() -> dict[int, Process]:
    table = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                text = (entry / "stat").read_text()
            except OSError:
                continue  # It has just ended.
            fields = text[text.rindex(")") + 2 :].split()
            own, reaped = ((int(fields[i]) + int(fields[i + 1])) / TICKS_PER_S for i in (11, 13))
            table[int(entry.name)] = Process(int(fields[1]), own, reaped)
    return table


def _tree_s(root: int, table: Mapping[int, Process], children: Mapping[int, list[int]]) -> float:
    total, waiting = 0.0, [root]
    while waiting:
        pid = waiting.pop()
        if pid in table:
            total += table[pid].own_s + table[pid].reaped_s
            waiting += children.get(pid, [])
    return total


def _machine_s() -> float:
    """Processor time that was used or stolen, on all cores together."""
    first = (PROC / "stat").read_text().split("\n", 1)[0].split()[1:9]
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, first)
    return (user + nice + system + irq + softirq + steal) / TICKS_PER_S
