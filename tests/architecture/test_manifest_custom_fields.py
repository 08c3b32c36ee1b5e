"""Fields of operators' objects: the API server drops what it does not know, so a slip of the pen would do nothing, silently.

These are the fields that we use, written down once more. `make check-manifests` checks their types and what is required.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from kustomized import K8S, Object, overlay, rendered, yaml_objects

TRIGGERS = {
    "triggers[].type",
    "triggers[].name",
    "triggers[].metadata",
    "triggers[].authenticationRef.name",
}
POLICY = {
    "policies[].type",
    "policies[].value",
    "policies[].periodSeconds",
    "stabilizationWindowSeconds",
}
BEHAVIOR = "advanced.horizontalPodAutoscalerConfig.behavior"

FIELDS: dict[str, set[str]] = {
    "ScaledObject": TRIGGERS
    | {
        "scaleTargetRef.name", "pollingInterval", "cooldownPeriod", "minReplicaCount", "maxReplicaCount",
        "advanced.scalingModifiers.formula", "advanced.scalingModifiers.target",
        "advanced.scalingModifiers.metricType",
    }
    | {f"{BEHAVIOR}.{way}.{field}" for way in ("scaleUp", "scaleDown") for field in POLICY},
    "TriggerAuthentication": {
        f"{source}[].{field}"
        for source in ("configMapTargetRef", "secretTargetRef")
        for field in ("parameter", "name", "key")
    },
    "PodMonitor": {
        "selector.matchExpressions[].key", "selector.matchExpressions[].operator",
        "selector.matchExpressions[].values[]", "podTargetLabels[]",
        *(f"podMetricsEndpoints[].{field}" for field in ("port", "path", "interval", "scrapeTimeout")),
    },
    "ClusterIssuer": {
        "acme.server", "acme.email", "acme.privateKeySecretRef.name",
        "acme.solvers[].http01.ingress.ingressClassName",
    },
    "SecretStore": {
        "provider.aws.service", "provider.aws.region", "provider.aws.auth.jwt.serviceAccountRef.name",
        "provider.vault.server", "provider.vault.path", "provider.vault.version",
        "provider.vault.auth.kubernetes.mountPath", "provider.vault.auth.kubernetes.role",
        "provider.vault.auth.kubernetes.serviceAccountRef.name",
    },
    "ExternalSecret": {
        "refreshInterval", "secretStoreRef.kind", "secretStoreRef.name", "target.name", "target.creationPolicy",
        "dataFrom[].extract.key", "data[].secretKey", "data[].remoteRef.key", "data[].remoteRef.property",
    },
    "Cluster": {
        "instances", "imageName", "inheritedMetadata.labels.app.kubernetes.io/component",
        "bootstrap.initdb.database", "bootstrap.initdb.owner", "bootstrap.initdb.secret.name",
        "bootstrap.initdb.postInitApplicationSQL[]", "postgresql.parameters.max_connections",
        "postgresql.synchronous.method", "postgresql.synchronous.number", "storage.size", "walStorage.size",
        "resources.requests.cpu", "resources.requests.memory", "resources.limits.memory",
        "affinity.enablePodAntiAffinity", "affinity.topologyKey", "monitoring.enablePodMonitor",
    },
    "RedisReplication": {
        "clusterSize", "redisConfig.additionalRedisConfig",
        "storage.volumeClaimTemplate.spec.accessModes[]",
        "storage.volumeClaimTemplate.spec.resources.requests.storage",
    },
    "RedisSentinel": {
        "clusterSize", "redisSentinelConfig.redisReplicationName",
        "redisSentinelConfig.redisReplicationPassword.secretKeyRef.name",
        "redisSentinelConfig.redisReplicationPassword.secretKeyRef.key",
    },
}  # fmt: skip
OF_REDIS = {
    "kubernetesConfig.image", "kubernetesConfig.imagePullPolicy", "kubernetesConfig.redisSecret.name",
    "kubernetesConfig.redisSecret.key", "kubernetesConfig.resources.requests.cpu",
    "kubernetesConfig.resources.requests.memory", "kubernetesConfig.resources.limits.memory",
    "podSecurityContext.runAsNonRoot", "podSecurityContext.runAsUser", "podSecurityContext.fsGroup",
}  # fmt: skip
FREE = {"triggers[].metadata"}
"""Maps whose names the scaler decides; tests of scaling look into them."""


def fields(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict) and path not in FREE:
        for key, inner in value.items():
            yield from fields(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for inner in value:
            yield from fields(inner, f"{path}[]")
    else:
        yield path


def assert_known(each: Object) -> None:
    kind = each["kind"]
    known = FIELDS[kind] | (OF_REDIS if kind.startswith("Redis") else set())
    used = set(fields(each["spec"]))
    assert used <= known, f"{kind} {each['metadata']['name']}: {sorted(used - known)}"


def custom(objects: tuple[Object, ...]) -> list[Object]:
    return [each for each in objects if each["kind"] in FIELDS]


def test_objects_of_operators_use_fields_that_exist() -> None:
    found = custom(overlay("production").objects) + custom(rendered("pools/functions"))
    assert {each["kind"] for each in found} == {
        "ScaledObject",
        "TriggerAuthentication",
        "PodMonitor",
    }
    for each in found:
        assert_known(each)


@pytest.mark.parametrize(
    "path", sorted((K8S / "examples").glob("*.yaml")), ids=lambda path: path.stem
)
def test_examples_use_fields_that_exist(path: Any) -> None:
    for each in custom(tuple(yaml_objects(path))):
        assert_known(each)
