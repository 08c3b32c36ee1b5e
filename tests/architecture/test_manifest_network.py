"""Network policies: everything is denied, and what is allowed is exactly what services need."""

from __future__ import annotations

from typing import Any

import pytest
from kustomized import OVERLAYS, Manifests, matches, overlay

Edge = tuple[str, str, str]
"""Who, whom, port. Whoever is not a pod of ours is named by namespace or as `internet` and `network`."""

CLIENTS_OF_POSTGRES = {"gateway", "orchestrator", "executor", "knowledge", "migrate"}
CLIENTS_OF_REDIS = {"gateway", "orchestrator", "executor", "knowledge"}

OUT: dict[str, set[Edge]] = {
    "development": {
        *((who, "dns", "53") for who in CLIENTS_OF_POSTGRES | {"postgres", "valkey"}),
        *((who, "postgres", "5432") for who in CLIENTS_OF_POSTGRES),
        *((who, "redis", "6379") for who in CLIENTS_OF_REDIS),
        *((who, "internet", port) for who in ("executor", "knowledge") for port in ("80", "443")),
    },
    "production": {
        *((who, "dns", "53") for who in CLIENTS_OF_POSTGRES | {"backup"}),
        *((who, "postgres", "5432") for who in CLIENTS_OF_POSTGRES | {"backup"}),
        *((who, "network", "5432") for who in CLIENTS_OF_POSTGRES | {"backup"}),
        *((who, "redis", "6379") for who in CLIENTS_OF_REDIS),
        *((who, "network", "6379") for who in CLIENTS_OF_REDIS),
        *((who, "internet", port) for who in ("executor", "knowledge") for port in ("80", "443")),
        *((who, "monitoring", "4318") for who in CLIENTS_OF_REDIS),
    },
}
IN: dict[str, set[Edge]] = {
    "development": {
        *((who, "postgres", "server") for who in CLIENTS_OF_POSTGRES),
        *((who, "valkey", "server") for who in CLIENTS_OF_REDIS | {"keda"}),
    },
    "production": {
        ("ingress-nginx", "gateway", "http"),
        *(("monitoring", who, "metrics") for who in CLIENTS_OF_REDIS),
    },
}


def pods(manifests: Manifests) -> dict[str, dict[str, str]]:
    """Labels of our pods, by name of service or job; pools of executors are one."""
    found = [template["metadata"]["labels"] for _, template in manifests.pods()]
    return {labels["app.kubernetes.io/name"]: labels for labels in found}


def policies(manifests: Manifests, direction: str) -> list[dict[str, Any]]:
    every = [each["spec"] for each in manifests.of("NetworkPolicy").values()]
    return [spec for spec in every if direction in spec["policyTypes"]]


def far_end(peer: dict[str, Any]) -> str:
    """Whom an outgoing rule reaches."""
    if "ipBlock" in peer:
        return "internet" if peer["ipBlock"]["cidr"] in ("0.0.0.0/0", "::/0") else "network"
    labels = peer["podSelector"]["matchLabels"]
    namespace = peer["namespaceSelector"].get("matchLabels", {}).get("kubernetes.io/metadata.name")
    if labels.get("k8s-app") == "kube-dns":
        return "dns"
    return str(namespace or labels["app.kubernetes.io/component"])


def near_ends(peer: dict[str, Any], ours: dict[str, dict[str, str]]) -> set[str]:
    """Whom an incoming rule lets in."""
    if "namespaceSelector" in peer:
        return {peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]}
    return {name for name, labels in ours.items() if matches(peer["podSelector"], labels)}


@pytest.mark.parametrize("name", OVERLAYS)
def test_everything_is_denied_first(name: str) -> None:
    deny = overlay(name).one("NetworkPolicy", "deny-all")["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


@pytest.mark.parametrize("name", OVERLAYS)
def test_pods_reach_what_they_need_and_nothing_else(name: str) -> None:
    manifests = overlay(name)
    edges = {
        (who, far_end(peer), str(port["port"]))
        for spec in policies(manifests, "Egress")
        for who, labels in pods(manifests).items()
        if matches(spec["podSelector"], labels)
        for rule in spec.get("egress", [])
        for peer in rule["to"]
        for port in rule["ports"]
    }
    assert edges == OUT[name]


@pytest.mark.parametrize("name", OVERLAYS)
def test_pods_are_reached_by_those_they_serve_and_nobody_else(name: str) -> None:
    manifests = overlay(name)
    ours = pods(manifests)
    edges = {
        (who, whom, str(port["port"]))
        for spec in policies(manifests, "Ingress")
        for whom, labels in ours.items()
        if matches(spec["podSelector"], labels)
        for rule in spec.get("ingress", [])
        for peer in rule["from"]
        for who in near_ends(peer, ours)
        for port in rule["ports"]
    }
    assert edges == IN[name]


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_internet_is_not_a_way_into_private_networks(name: str) -> None:
    spec = overlay(name).one("NetworkPolicy", "workers-to-internet")["spec"]
    [v4, v6] = [peer["ipBlock"] for peer in spec["egress"][0]["to"]]
    assert {
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "100.64.0.0/10",
    } <= set(v4["except"])
    assert {"fc00::/7", "fe80::/10"} <= set(v6["except"])


@pytest.mark.parametrize("name", OVERLAYS)
def test_ports_of_incoming_rules_are_ports_of_the_pods(name: str) -> None:
    manifests = overlay(name)
    ports = {
        template["metadata"]["labels"]["app.kubernetes.io/name"]: {
            port["name"]
            for container in template["spec"]["containers"]
            for port in container.get("ports", [])
        }
        for _, template in manifests.pods()
    }
    for _, whom, port in IN[name]:
        assert port in ports[whom]
