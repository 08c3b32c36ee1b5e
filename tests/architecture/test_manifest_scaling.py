"""What autoscalers read and change: real streams, all partitions, queues that somebody serves."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from kustomized import K8S, Manifests, Object, effective, overlay, rendered, yaml_objects

from common.settings.table import variables
from common.streams import names
from knowledge.app import SLOTS

TABLE = {variable.name: variable for variable in variables()}
TRIGGER_METADATA = {"stream", "streamLength"}


def scaled(manifests: Manifests, name: str) -> Object:
    return dict(manifests.one("ScaledObject", name)["spec"])


def streams(spec: Object) -> list[str]:
    return [each["metadata"]["stream"] for each in spec["triggers"]]


@pytest.fixture
def production() -> Manifests:
    return overlay("production")


def test_every_deployment_is_scaled_by_exactly_one_autoscaler(production: Manifests) -> None:
    targets = [
        each["spec"]["scaleTargetRef"]["name"]
        for kind in ("HorizontalPodAutoscaler", "ScaledObject")
        for each in production.of(kind).values()
    ]
    assert Counter(targets) == Counter(list(production.of("Deployment")))


def test_manifests_name_no_number_of_replicas_that_would_undo_an_autoscaler(
    production: Manifests,
) -> None:
    assert all("replicas" not in each["spec"] for each in production.of("Deployment").values())


def test_orchestrators_are_scaled_on_both_streams_of_every_partition(production: Manifests) -> None:
    partitions = range(int(production.settings()["PARTITIONS"]))
    expected = [names.commands(each) for each in partitions] + [
        names.results(each) for each in partitions
    ]
    assert sorted(streams(scaled(production, "orchestrator"))) == sorted(expected)


def test_the_streams_of_orchestrators_are_added_up(production: Manifests) -> None:
    spec = scaled(production, "orchestrator")
    terms = spec["advanced"]["scalingModifiers"]["formula"].split(" + ")
    named = [each["name"] for each in spec["triggers"]]
    assert sorted(terms) == sorted(named)
    assert len(set(named)) == len(named)
    assert all(re.fullmatch(r"[a-z][a-z0-9]*", name) for name in named), (
        "a name of the formula's language"
    )


def test_there_are_no_more_orchestrators_than_partitions_and_always_one(
    production: Manifests,
) -> None:
    spec = scaled(production, "orchestrator")
    assert spec["minReplicaCount"] >= 1
    assert spec["maxReplicaCount"] <= int(production.settings()["PARTITIONS"])


def test_knowledge_is_scaled_on_each_of_its_queues_before_its_slots_are_full(
    production: Manifests,
) -> None:
    spec = scaled(production, "knowledge")
    targets = {
        each["metadata"]["stream"]: int(each["metadata"]["streamLength"])
        for each in spec["triggers"]
    }
    assert targets.keys() == {names.tasks(queue) for queue in SLOTS}
    assert all(targets[names.tasks(queue)] < slots for queue, slots in SLOTS.items())
    assert spec["minReplicaCount"] >= 1, "a search cannot wait for a pod"


def test_every_executor_is_scaled_on_exactly_the_queues_it_serves(production: Manifests) -> None:
    for folder in (production, Manifests(rendered("pools/functions"))):
        for name, deployment in folder.of("Deployment").items():
            if not name.startswith("executor"):
                continue
            spec = scaled(folder, name)
            variables_of = (
                effective(folder, deployment) if folder is production else own_variables(deployment)
            )
            queues = variables_of["EXECUTOR_QUEUES"].split(",")
            assert sorted(streams(spec)) == sorted(names.tasks(queue) for queue in queues), name
            slots = int(variables_of.get("EXECUTOR_SLOTS", TABLE["EXECUTOR_SLOTS"].default))
            assert all(int(each["metadata"]["streamLength"]) < slots for each in spec["triggers"])


def test_the_pools_together_serve_every_queue_that_executors_serve_by_default(
    production: Manifests,
) -> None:
    served = [
        queue
        for service, deployment in production.services()
        if service == "executor"
        for queue in effective(production, deployment)["EXECUTOR_QUEUES"].split(",")
    ]
    assert Counter(served) == Counter(TABLE["EXECUTOR_QUEUES"].default.split(","))


def test_pools_of_one_queue_may_go_to_zero(production: Manifests) -> None:
    assert scaled(production, "executor-llm")["minReplicaCount"] == 0


def test_a_pool_of_own_functions_never_goes_to_zero_because_it_tells_the_catalog_of_them() -> None:
    pool = Manifests(rendered("pools/functions"))
    [deployment] = pool.of("Deployment").values()
    assert own_variables(deployment)["EXECUTOR_MODULES"]
    assert scaled(pool, "executor-functions")["minReplicaCount"] >= 1


def test_a_pool_is_made_by_copying_a_folder_and_replacing_one_word(tmp_path: Path) -> None:
    root = tmp_path / "k8s"
    shutil.copytree(K8S, root)
    file = root / "pools/reports/kustomization.yaml"
    shutil.copytree(root / "pools/functions", file.parent)
    file.write_text(file.read_text().replace("functions", "reports"))
    pool = Manifests(rendered("pools/reports", root))
    deployment = pool.one("Deployment", "executor-reports")
    assert deployment["spec"]["selector"]["matchLabels"]["kwe/pool"] == "reports"
    assert own_variables(deployment)["EXECUTOR_QUEUES"] == "reports"
    spec = scaled(pool, "executor-reports")
    assert spec["scaleTargetRef"]["name"] == "executor-reports"
    assert streams(spec) == [names.tasks("reports")]


def test_keda_reads_lengths_because_lag_is_unknown_in_the_normal_case(
    production: Manifests,
) -> None:
    for name, each in production.of("ScaledObject").items():
        for trigger in each["spec"]["triggers"]:
            assert trigger["type"] == "redis-streams"
            assert trigger["metadata"].keys() == TRIGGER_METADATA, name


def test_keda_asks_the_redis_that_the_services_use(production: Manifests) -> None:
    [authentication] = production.of("TriggerAuthentication").values()
    spec = authentication["spec"]
    address = production.one("ConfigMap", "kwe-keda")["data"]
    settings = production.settings()
    url = urlsplit(settings["REDIS_URL"])
    assert address["address"] == f"{url.hostname}:{url.port}"
    assert (address["tls"] == "enable") is (settings["REDIS_TLS"] == "true")
    assert url.path == "/0", "triggers name no database"
    assert {each["parameter"]: each["key"] for each in spec["configMapTargetRef"]} == {
        "address": "address",
        "tls": "tls",
    }
    [secret] = spec["secretTargetRef"]
    assert (secret["parameter"], secret["name"], secret["key"]) == (
        "password",
        "kwe-secrets",
        "REDIS_PASSWORD",
    )
    for each in production.of("ScaledObject").values():
        for trigger in each["spec"]["triggers"]:
            assert trigger["authenticationRef"]["name"] == authentication["metadata"]["name"]


def test_all_replicas_together_find_room_in_the_database_of_the_example(
    production: Manifests,
) -> None:
    most = {
        name: each["spec"]["maxReplicas"]
        for name, each in production.of("HorizontalPodAutoscaler").items()
    }
    most |= {
        name: each["spec"]["maxReplicaCount"]
        for name, each in production.of("ScaledObject").items()
    }
    default = TABLE["DATABASE_POOL_MAX"].default
    connections = sum(
        most[name] * int(effective(production, deployment).get("DATABASE_POOL_MAX", default))
        for name, deployment in production.of("Deployment").items()
    )
    assert f"{connections} connections" in (K8S / "README.md").read_text()
    [cluster] = [
        each
        for each in yaml_objects(K8S / "examples/cloudnative-pg.yaml")
        if each["kind"] == "Cluster"
    ]
    assert connections + 50 <= int(cluster["spec"]["postgresql"]["parameters"]["max_connections"])


def own_variables(deployment: Object) -> dict[str, str]:
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each["value"] for each in container["env"] if "value" in each}
