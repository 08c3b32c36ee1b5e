"""What the rendered manifests name is what the code has: variables, ports, probes, queues, images, times."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from aiohttp import web
from kustomized import (
    OVERLAYS,
    SERVICES,
    Manifests,
    container_of,
    effective,
    overlay,
    plain_variables,
    secret_variables,
    template_of,
)
from prometheus_client import REGISTRY

from common import metrics
from common.health import Health
from common.settings import SERVICES as SETTINGS
from common.settings.durations import parse_duration
from common.settings.loading import read
from common.settings.table import variables

FOREIGN = {"POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD", "PGDATA", "TMPDIR"}
"""Variables of PostgreSQL's image and of the system. Valkey's start command reads REDIS_PASSWORD, which is ours too."""

SECRETS = "kwe-secrets"
HANDING_BACK_S = 5
"""What a pod gets beyond its drain: handing back, closing connections, and a busy node."""

TABLE = {variable.name: variable for variable in variables()}


@pytest.fixture(params=OVERLAYS)
def manifests(request: pytest.FixtureRequest) -> Manifests:
    return overlay(request.param)


def test_every_service_runs_and_the_migrations_are_applied(manifests: Manifests) -> None:
    assert {service for service, _ in manifests.services()} == set(SERVICES)
    assert "migrate" in manifests.of("Job")


def test_every_variable_is_a_setting_that_its_service_reads(manifests: Manifests) -> None:
    for service, deployment in manifests.services():
        container = container_of(deployment)
        own = {*plain_variables(container), *secret_variables(container)}
        for name in own:
            assert service in TABLE[name].services, f"{service} does not read {name}"
    shared = set(manifests.settings())
    assert shared <= TABLE.keys(), shared - TABLE.keys()
    for where, template in manifests.pods():
        for container in template["spec"]["containers"]:
            named = {each["name"] for each in container.get("env", [])}
            assert named <= TABLE.keys() | FOREIGN, where


def test_secrets_come_from_the_one_secret_and_from_nowhere_else(manifests: Manifests) -> None:
    secret = {name for name, variable in TABLE.items() if variable.secret} - {"REDIS_URL"}
    for _, deployment in manifests.services():
        container = container_of(deployment)
        references = secret_variables(container)
        assert set(references) <= secret
        assert not plain_variables(container).keys() & secret
        for name, reference in references.items():
            assert (reference["name"], reference["key"]) == (SECRETS, name)
    assert not manifests.of("Secret"), "the operator makes it, or External Secrets does"


def test_a_service_gets_the_secrets_it_reads_and_no_others(manifests: Manifests) -> None:
    for service, deployment in manifests.services():
        references = secret_variables(container_of(deployment))
        for name, variable in TABLE.items():
            if variable.secret and name != "REDIS_URL" and service in variable.services:
                assert name in references, f"{service} cannot be given {name}"
                required = variable.required_in_production
                assert references[name].get("optional", False) is not required, (service, name)


def test_what_production_requires_is_there(manifests: Manifests) -> None:
    assert manifests.settings()["APP_ENV"] == "production"
    for service, deployment in manifests.services():
        container = container_of(deployment)
        given = {*effective(manifests, deployment), *secret_variables(container)}
        needed = {
            name
            for name, variable in TABLE.items()
            if variable.required_in_production and service in variable.services
        }
        assert needed <= given, (service, needed - given)


def test_services_start_with_what_their_containers_are_given(manifests: Manifests) -> None:
    """Their own reading of the environment, with every secret that they require and one key for a language model."""
    given = {
        "DATABASE_URL": "postgresql://kwe@postgres:5432/kwe",
        "JWT_SECRET": "j" * 40,
        "OPENAI_API_KEY": "a key",
    }
    for service, deployment in manifests.services():
        secrets = secret_variables(container_of(deployment))
        filled = {name: value for name, value in given.items() if name in secrets}
        read(SETTINGS[service], effective(manifests, deployment) | filled)


def test_probes_ask_the_routes_that_services_have_on_the_port_they_open(
    manifests: Manifests,
) -> None:
    served = {route.path for route in Health("any", {}).routes() if isinstance(route, web.RouteDef)}
    for _, deployment in manifests.services():
        container = container_of(deployment)
        ports = {each["name"]: str(each["containerPort"]) for each in container["ports"]}
        assert ports["metrics"] == effective(manifests, deployment)["METRICS_PORT"]
        for probe, path in (
            ("startup", "/health"),
            ("liveness", "/health"),
            ("readiness", "/ready"),
        ):
            asked = container[f"{probe}Probe"]["httpGet"]
            assert asked == {"path": path, "port": "metrics"}
            assert path in served
        assert "/metrics" in served


def test_the_gateway_is_reached_on_its_port(manifests: Manifests) -> None:
    gateway = manifests.one("Deployment", "gateway")
    ports = {each["name"]: str(each["containerPort"]) for each in container_of(gateway)["ports"]}
    assert ports["http"] == manifests.settings()["PORT"]
    service = manifests.one("Service", "gateway")
    assert service["spec"]["ports"][0]["targetPort"] == "http"
    assert service["spec"]["selector"].items() <= template_of(gateway)["metadata"]["labels"].items()


def test_every_deployment_has_a_name_under_which_its_metrics_are_found(
    manifests: Manifests,
) -> None:
    for name, deployment in manifests.of("Deployment").items():
        service = manifests.one("Service", name)["spec"]
        assert service["selector"] == deployment["spec"]["selector"]["matchLabels"]
        [port] = [each for each in service["ports"] if each["name"] == "metrics"]
        assert port["targetPort"] == "metrics"
        assert str(port["port"]) == manifests.settings()["METRICS_PORT"]


def test_a_pod_is_given_longer_than_its_drain(manifests: Manifests) -> None:
    for service, deployment in manifests.services():
        pod = template_of(deployment)["spec"]
        drain = parse_duration(effective(manifests, deployment)["SHUTDOWN_GRACE"])
        assert isinstance(drain, timedelta)
        hook = container_of(deployment).get("lifecycle", {}).get("preStop", {"sleep": {}})
        before = hook["sleep"].get("seconds", 0)
        needed = before + drain.total_seconds() + HANDING_BACK_S
        assert pod["terminationGracePeriodSeconds"] >= needed, (service, needed)


def test_script_tasks_fit_into_the_memory_of_an_executor(manifests: Manifests) -> None:
    for service, deployment in manifests.services():
        if service != "executor":
            continue
        allowed = effective(manifests, deployment).get(
            "MAX_MEMORY_MB", TABLE["MAX_MEMORY_MB"].default
        )
        limit = container_of(deployment)["resources"]["limits"]["memory"]
        assert mebibytes(limit) >= int(allowed) + 256


def test_every_metric_that_manifests_name_exists(manifests: Manifests) -> None:
    assert metrics.STREAM_LAG  # registered by being imported
    known = {
        name
        for family in REGISTRY.collect()
        for name in [family.name, *(s.name for s in family.samples)]
    }
    for each in manifests.objects:
        if each["kind"] in ("PodMonitor", "ScaledObject", "HorizontalPodAutoscaler"):
            for name in re.findall(r"\b(?:kwe|workflow)_[a-z_]+", str(each)):
                assert name in known, f"{each['kind']} names {name}"


def test_the_prometheus_operator_finds_the_port_of_every_service(manifests: Manifests) -> None:
    for monitor in manifests.of("PodMonitor").values():
        [rule] = monitor["spec"]["selector"]["matchExpressions"]
        assert set(rule["values"]) == set(SERVICES)
        [endpoint] = monitor["spec"]["podMetricsEndpoints"]
        assert endpoint["port"] == "metrics"
        assert endpoint["path"] == "/metrics"


def mebibytes(quantity: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi)", quantity).groups()  # type: ignore[union-attr]
    return int(number) * (1024 if unit == "Gi" else 1)
