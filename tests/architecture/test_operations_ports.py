"""Ports and edges in docs/operations.md are those of the settings, of Compose and of the network policies."""

from __future__ import annotations

import re
from typing import Any

import test_compose_files as compose
import test_manifest_network as network

from common.settings.table import variables
from fenced_blocks import OPERATIONS, prose

OURS = {"gateway", "orchestrator", "executor", "knowledge"}
SERVICES = "gateway, orchestrator, executor, knowledge"
NAMES = {
    "nginx or the Ingress": ["ingress-nginx"],
    "PostgreSQL": ["postgres", "network"],
    "Redis": ["redis", "network"],
    "collector": ["monitoring"],
    "Prometheus": ["monitoring"],
    "DNS": ["dns"],
    "all": [*OURS, "migrate", "backup"],
}
"""What the manifests call them. A managed server is a network."""


def table(heading: str) -> list[list[str]]:
    section = prose(OPERATIONS).split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def ports_of(who: str) -> set[str]:
    (cell,) = (row[0] for row in table("Ports") if row[1] == who)
    return set(re.findall(r"\d+", cell))


def default(variable: str) -> str:
    (found,) = (each.default for each in variables() if each.name == variable)
    return found


def edges() -> set[network.Edge]:
    return {
        (who, whom, port)
        for row in table("Firewall")
        for who in split(row[0])
        for whom in split(row[1])
        for port in row[2].split(", ")
    }


def split(cell: str) -> list[str]:
    """Whom a cell names, in the words of the manifests."""
    if cell.startswith("the internet"):
        return ["internet"]
    return [word for one in cell.split(", ") for word in NAMES.get(one, [one])]


def test_services_listen_where_the_guide_says() -> None:
    assert ports_of("gateway") == {default("PORT")}
    assert ports_of(SERVICES) == {default("METRICS_PORT")}
    assert f":{min(ports_of('PostgreSQL'))}/" in default("DATABASE_URL")
    assert f":{min(ports_of('Redis'))}/" in default("REDIS_URL")
    rows = {row[1]: row[2] for row in table("Ports")}
    assert rows["gateway"] == "`PORT`"
    assert rows[SERVICES] == "`METRICS_PORT`"


def test_compose_publishes_the_ports_of_the_guide_and_no_others() -> None:
    def published(file: str, service: str) -> set[str]:
        """On the host: what stands before the last colon."""
        found: set[str] = set()
        for port in compose.published(file)[service]:
            outside = re.sub(r"127\.0\.0\.1:|\$\{\w+:-|\}", "", port).rpartition(":")[0]
            found |= set(re.findall(r"\d+", outside))
        return found

    assert published("base", "gateway") == ports_of("gateways of Compose without nginx")
    assert published("nginx", "nginx") == ports_of("nginx")
    consoles = ports_of("Grafana, Prometheus, Alertmanager, Jaeger, Kibana")
    assert published("consoles", "consoles") == consoles


def test_the_collector_listens_where_services_send_to() -> None:
    traced: dict[str, Any] = compose.FILES["observability"]["x-traced"]
    (port,) = ports_of("OpenTelemetry collector")
    assert traced["OTEL_EXPORTER_OTLP_ENDPOINT"].endswith(f":{port}")


def test_the_firewall_of_the_guide_is_what_network_policies_allow() -> None:
    """Policies name a port of ours by its name; the guide by its number."""
    by_name = {"http": default("PORT"), "metrics": default("METRICS_PORT")}
    allowed = set(network.OUT["production"])
    allowed |= {(who, whom, by_name[port]) for who, whom, port in network.IN["production"]}
    assert edges() - from_outside() == allowed


def from_outside() -> set[network.Edge]:
    return {edge for edge in edges() if edge[0] in ("users", "your systems")}


def test_the_world_reaches_the_proxy_alone() -> None:
    reached = {(whom, port) for _, whom, port in from_outside()}
    assert reached == {("ingress-nginx", port) for port in ports_of("nginx")}


def test_the_networks_of_compose_allow_what_the_guide_says() -> None:
    """Whoever has a row to the internet is in `egress`; who needs a store is where the store is."""
    services = compose.SERVICES
    outward = {who for who, whom, _ in edges() if whom == "internet"}
    assert outward == {name for name in OURS if "egress" in services[name]["networks"]}
    for who, whom, _ in edges():
        if whom in ("postgres", "redis"):
            assert "backend" in services[who]["networks"], who
