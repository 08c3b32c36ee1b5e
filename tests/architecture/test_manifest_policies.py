"""Rules that every rendered object keeps: Pod Security, accounts, disruption, spreading, priorities, names."""

from __future__ import annotations

from typing import Any

import pytest
from kustomized import OVERLAYS, Manifests, matches, overlay

VOLUMES = {"emptyDir", "persistentVolumeClaim", "configMap", "secret", "projected"}
"""Of the kinds that Pod Security `restricted` allows, those used here."""


@pytest.fixture(params=OVERLAYS)
def manifests(request: pytest.FixtureRequest) -> Manifests:
    return overlay(request.param)


def containers(template: dict[str, Any]) -> list[dict[str, Any]]:
    spec = template["spec"]
    return [*spec.get("initContainers", []), *spec["containers"]]


def test_the_namespace_enforces_restricted(manifests: Manifests) -> None:
    labels = manifests.one("Namespace", "kwe")["metadata"]["labels"]
    for mode in ("enforce", "audit", "warn"):
        assert labels[f"pod-security.kubernetes.io/{mode}"] == "restricted"


def test_every_pod_keeps_to_restricted(manifests: Manifests) -> None:
    for where, template in manifests.pods():
        spec = template["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True, where
        stores = template["metadata"]["labels"]["app.kubernetes.io/name"] in ("postgres", "valkey")
        assert spec["securityContext"]["runAsUser"] == (999 if stores else 10001), where
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, where
        assert not spec.keys() & {"hostNetwork", "hostPID", "hostIPC"}, where
        for volume in spec.get("volumes", []):
            assert volume.keys() - {"name"} <= VOLUMES, where
        for container in containers(template):
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False, where
            assert context["capabilities"] == {"drop": ["ALL"]}, where
            assert "privileged" not in context, where
            assert all("hostPort" not in port for port in container.get("ports", [])), where


def test_no_container_can_write_to_its_image(manifests: Manifests) -> None:
    for where, template in manifests.pods():
        for container in containers(template):
            assert container["securityContext"]["readOnlyRootFilesystem"] is True, where


def test_scratch_space_is_bounded(manifests: Manifests) -> None:
    for where, template in manifests.pods():
        for volume in template["spec"].get("volumes", []):
            if "emptyDir" in volume:
                assert "sizeLimit" in volume["emptyDir"], where


def test_every_pod_has_an_account_of_its_own_without_a_token(manifests: Manifests) -> None:
    accounts = manifests.of("ServiceAccount")
    for where, template in manifests.pods():
        spec = template["spec"]
        assert spec["automountServiceAccountToken"] is False, where
        assert spec["enableServiceLinks"] is False, where
        assert spec["serviceAccountName"] in accounts, where
    assert all(each["automountServiceAccountToken"] is False for each in accounts.values())


def test_every_container_says_what_it_needs_and_may_take(manifests: Manifests) -> None:
    for where, template in manifests.pods():
        for container in containers(template):
            resources = container["resources"]
            assert {"cpu", "memory"} <= resources["requests"].keys(), where
            assert "memory" in resources["limits"], where
            assert "cpu" not in resources["limits"], (
                f"{where}: see deploy/k8s/check/exceptions.yaml"
            )


def test_images_have_a_version(manifests: Manifests) -> None:
    for where, template in manifests.pods():
        for container in containers(template):
            image, _, tag = container["image"].rpartition(":")
            assert image, where
            assert tag != "latest", where


def test_what_serves_can_lose_one_pod_at_a_time(manifests: Manifests) -> None:
    budgets = list(manifests.of("PodDisruptionBudget").values())
    for name, deployment in manifests.of("Deployment").items():
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        guarding = [each for each in budgets if matches(each["spec"]["selector"], labels)]
        assert len(guarding) == 1, f"{name}: an eviction under two budgets is refused"
        assert guarding[0]["spec"]["maxUnavailable"] == 1


def test_pods_of_one_deployment_are_not_those_of_another(manifests: Manifests) -> None:
    deployments = manifests.of("Deployment")
    for name, deployment in deployments.items():
        taken = [
            other
            for other, each in deployments.items()
            if matches(
                deployment["spec"]["selector"], each["spec"]["template"]["metadata"]["labels"]
            )
        ]
        assert taken == [name]


def test_replicas_spread_over_zones_and_nodes(manifests: Manifests) -> None:
    for name, deployment in manifests.of("Deployment").items():
        template = deployment["spec"]["template"]
        constraints = template["spec"]["topologySpreadConstraints"]
        keys = {each["topologyKey"] for each in constraints}
        assert keys == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}, name
        for each in constraints:
            assert each["labelSelector"] == deployment["spec"]["selector"], name


def test_a_roll_out_never_takes_a_pod_away_before_the_next_is_ready(manifests: Manifests) -> None:
    for name, deployment in manifests.of("Deployment").items():
        assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0, name


def test_priorities_exist_and_those_who_decide_go_first(manifests: Manifests) -> None:
    priorities = {name: each["value"] for name, each in manifests.of("PriorityClass").items()}
    assert priorities["kwe-control"] > priorities["kwe-work"]
    classes = {
        service: each["spec"]["template"]["spec"]["priorityClassName"]
        for service, each in manifests.services()
    }
    assert classes == {
        "gateway": "kwe-control",
        "orchestrator": "kwe-control",
        "executor": "kwe-work",
        "knowledge": "kwe-work",
    }


def test_everything_that_has_a_namespace_is_in_ours(manifests: Manifests) -> None:
    for each in manifests.objects:
        if each["kind"] not in ("Namespace", "PriorityClass"):
            assert each["metadata"]["namespace"] == "kwe", each["metadata"]["name"]


def test_backups_are_made_every_night_by_the_command_that_makes_them() -> None:
    backup = overlay("production").one("CronJob", "backup")["spec"]
    template = backup["jobTemplate"]["spec"]["template"]["spec"]
    [container] = template["containers"]
    assert container["command"] == ["kwe", "backup", "--to", "/backups", "--keep-days", "7"]
    assert "/backups" in {each["mountPath"] for each in container["volumeMounts"]}
    assert backup["concurrencyPolicy"] == "Forbid"


def test_the_way_in_is_encrypted_and_does_not_hold_back_events() -> None:
    manifests = overlay("production")
    ingress = manifests.one("Ingress", "gateway")
    annotations = ingress["metadata"]["annotations"]
    assert annotations["cert-manager.io/cluster-issuer"]
    assert annotations["nginx.ingress.kubernetes.io/proxy-buffering"] == "off"
    hosts = {host for entry in ingress["spec"]["tls"] for host in entry["hosts"]}
    assert hosts == {rule["host"] for rule in ingress["spec"]["rules"]}
    [path] = ingress["spec"]["rules"][0]["http"]["paths"]
    backend = path["backend"]["service"]
    ports = {each["name"] for each in manifests.one("Service", backend["name"])["spec"]["ports"]}
    assert backend["port"]["name"] in ports
