"""The Compose files hold together, whichever overlays are chosen, without any engine: who is where, who may do what."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML, Node, SafeConstructor

from common.settings.durations import parse_duration
from common.settings.table import variables
from gateway.models.executions import WAIT_SECONDS_MAX

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "deploy/compose"
OURS = ("gateway", "orchestrator", "executor", "knowledge")
OVERLAYS = ("nginx", "observability", "elk", "replica", "consoles", "external")
ONCE = {"migrate", "kwe", "backup", "replication", "elasticsearch-setup"}
"""Run to their end, so there is no health to check."""
UNCHECKED = {"collector", "jaeger"}
"""Their images hold no program that could ask."""
WRITES = {
    "postgres": "its image prepares the volume as root",
    "elasticsearch": "writes its keystore and logs beside itself",
    "logstash": "as Elasticsearch does",
    "kibana": "as Elasticsearch does",
}
OWN_RIGHTS = {"nginx", "consoles", "logstash", "postgres", "valkey"}
"""Start as root with a few named rights, and drop even those for the process that serves, or read foreign files."""


class Constructor(SafeConstructor):
    """Understands what Compose adds to YAML: the tags that take values of earlier files back."""


def _plain(constructor: SafeConstructor, node: Node) -> Any:
    return constructor.construct_mapping(node, deep=True) if node.id == "mapping" else []


Constructor.add_constructor("!reset", _plain)
Constructor.add_constructor("!override", _plain)


def load(name: str) -> dict[str, Any]:
    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = Constructor
    found: dict[str, Any] = yaml.load((COMPOSE / name).read_text())
    return found


FILES = {"base": load("compose.yaml")} | {name: load(f"compose.{name}.yaml") for name in OVERLAYS}


def complete_services() -> Iterator[tuple[str, dict[str, Any]]]:
    """Services where they are defined, not where an overlay changes them. `kwe` is `migrate` again."""
    for file in FILES.values():
        for name, service in file["services"].items():
            if "image" in service:
                extended = service.get("extends", {}).get("service")
                yield name, {**file["services"].get(extended, {}), **service}


def all_environments() -> Iterator[tuple[str, dict[str, Any]]]:
    for file in FILES.values():
        for name, service in file["services"].items():
            if name in {*OURS, "migrate", "kwe", "backup"}:
                yield name, service.get("environment", {})


SERVICES = dict(complete_services())


def published(file: str) -> dict[str, list[str]]:
    services = FILES[file]["services"]
    return {name: one["ports"] for name, one in services.items() if one.get("ports")}


def test_no_overlay_is_forgotten_here() -> None:
    assert {path.name for path in COMPOSE.glob("*.yaml")} == {
        "compose.yaml",
        *(f"compose.{name}.yaml" for name in OVERLAYS),
    }


def test_no_container_has_a_fixed_name() -> None:
    assert not [name for name, service in complete_services() if "container_name" in service]


def test_three_networks_of_which_the_stores_have_no_way_out() -> None:
    networks = FILES["base"]["networks"]
    assert networks.keys() == {"frontend", "backend", "egress"}
    assert networks["backend"] == {"internal": True}
    for store in ("postgres", "valkey", "postgres-replica", "elasticsearch", "prometheus"):
        assert SERVICES[store]["networks"] == ["backend"], store


def test_only_those_who_call_others_have_a_way_out() -> None:
    outward = {name for name, service in SERVICES.items() if "egress" in service["networks"]}
    assert outward == {"executor", "knowledge", "backup", "collector", "alertmanager", "certbot"}


def test_only_the_gateway_publishes_a_port_and_only_nginx_in_its_place() -> None:
    assert published("base").keys() == {"gateway"}
    assert published("nginx").keys() == {"nginx"}
    assert FILES["nginx"]["services"]["gateway"]["ports"] == []
    assert not [name for name in ("observability", "elk", "replica", "external") if published(name)]


def test_pages_without_a_login_are_opened_to_this_machine_only() -> None:
    ports = published("consoles")
    assert ports.keys() == {"consoles"}
    assert all(port.startswith("127.0.0.1:") for port in ports["consoles"])


def test_several_gateways_find_a_port_each() -> None:
    (ports,) = published("base")["gateway"]
    first, last = re.findall(r"\d+", ports)[:2]
    assert int(last) - int(first) >= 3


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_is_bounded_and_its_logs_rotate(name: str) -> None:
    service = SERVICES[name]
    resources = service["deploy"]["resources"]
    assert resources["limits"].keys() == {"cpus", "memory"}
    assert "memory" in resources["reservations"]
    options = service["logging"]["options"]
    assert service["logging"]["driver"] == "json-file"
    assert options["max-size"]
    assert int(options["max-file"]) > 1


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_comes_back_and_says_whether_it_is_well(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == ("no" if name in ONCE else "unless-stopped")
    if name in UNCHECKED:
        assert service["healthcheck"] == {"disable": True}
    elif name in OURS:
        dockerfile = (ROOT / service["build"]["dockerfile"]).read_text()
        assert (
            'HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["kwe", "health"]'
            in dockerfile
        )
    elif name not in ONCE:
        assert service["healthcheck"]["test"][0].startswith("CMD")


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_can_do_no_more_than_it_needs(name: str) -> None:
    service = SERVICES[name]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["cap_drop"] == ["ALL"]
    assert bool(service.get("cap_add")) == (name in OWN_RIGHTS)
    assert service.get("read_only", False) == (name not in WRITES)
    assert not service.get("privileged")


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_has_a_version(name: str) -> None:
    image = SERVICES[name]["image"]
    if name in {*OURS, "migrate", "backup"}:
        assert image == f"${{REGISTRY:+${{REGISTRY:-}}/}}kwe-{name}:${{VERSION:-latest}}"
    else:
        assert re.fullmatch(r"[\w./-]+:v?[\w.-]+", image)
        assert not image.endswith(":latest")


@pytest.mark.parametrize("name", OURS)
def test_a_service_waits_for_migrations_and_healthy_stores(name: str) -> None:
    wanted = {what: how["condition"] for what, how in SERVICES[name]["depends_on"].items()}
    assert wanted == {
        "migrate": "service_completed_successfully",
        "postgres": "service_healthy",
        "valkey": "service_healthy",
    }


@pytest.mark.parametrize("name", OURS)
def test_a_service_has_longer_to_stop_than_it_takes_to_drain(name: str) -> None:
    (grace,) = (each.default for each in variables() if each.name == "SHUTDOWN_GRACE")
    stop = parse_duration(SERVICES[name]["stop_grace_period"])
    assert stop >= parse_duration(grace) + timedelta(seconds=5)


def test_only_variables_are_set_that_the_settings_know() -> None:
    known = {each.name for each in variables()}
    known |= {f"{name}_FILE" for name in known}
    for service, environment in all_environments():
        assert environment.keys() <= known, service


def test_secrets_are_files_and_never_variables() -> None:
    secret = {each.name for each in variables() if each.secret} - {"DATABASE_URL", "REDIS_URL"}
    for service, environment in all_environments():
        for name, value in environment.items():
            if name.endswith("_FILE"):
                assert value == f"/run/secrets/{name.removesuffix('_FILE').lower()}", service
            elif name in secret - {"DATABASE_READ_URL"}:
                assert value == "", (service, name)
            elif name.endswith("_URL"):
                assert not re.search(r"//[^/@]*:[^/@]*@", value), (service, name)


def test_every_secret_is_declared_as_a_file_below_secrets() -> None:
    declared: dict[str, Any] = {}
    for file in FILES.values():
        declared |= file.get("secrets", {})
    assert all(one == {"file": f"./secrets/{name}"} for name, one in declared.items())
    used = {secret for service in SERVICES.values() for secret in service.get("secrets", [])}
    assert used == declared.keys()


def test_what_is_mounted_exists_and_scripts_can_be_run() -> None:
    for name, service in SERVICES.items():
        for volume in service.get("volumes", []):
            source = COMPOSE / volume.split(":")[0]
            if not volume.startswith(".") or source.name in {"certificates", "rules", "dashboards"}:
                continue
            assert source.is_file(), (name, volume)
            assert volume.endswith(":ro"), (name, volume)
            assert source.suffix != ".sh" or os.access(source, os.X_OK), source


def test_the_check_of_valkey_looks_for_its_answer_with_the_password() -> None:
    # valkey-cli ends with 0 although the server answered NOAUTH.
    command = SERVICES["valkey"]["healthcheck"]["test"][1]
    assert "REDISCLI_AUTH=" in command
    assert command.endswith("valkey-cli ping | grep -q PONG")


def test_valkey_keeps_what_it_is_given() -> None:
    settings = (COMPOSE / "valkey/valkey.conf").read_text().splitlines()
    assert {"maxmemory-policy noeviction", "appendonly yes"} <= set(settings)


def test_the_gateway_trusts_the_network_that_nginx_is_in() -> None:
    (pool,) = FILES["base"]["networks"]["frontend"]["ipam"]["config"]
    trusted = FILES["nginx"]["services"]["gateway"]["environment"]["TRUSTED_PROXIES"]
    assert trusted == pool["subnet"]
    assert ip_network(trusted.removeprefix("${FRONTEND_SUBNET:-").removesuffix("}")).is_private
    assert SERVICES["nginx"]["networks"] == ["frontend"]


def test_nginx_asks_the_port_that_gateways_listen_on() -> None:
    text = (COMPOSE / "nginx/nginx.conf").read_text()
    port = SERVICES["gateway"]["environment"]["PORT"]
    assert f"server gateway:{port} resolve " in text
    assert "zone gateways " in text


def test_nginx_waits_longer_than_a_request_may() -> None:
    text = (COMPOSE / "nginx/nginx.conf").read_text()
    patience = [int(seconds) for seconds in re.findall(r"proxy_read_timeout (\d+)s;", text)]
    assert min(patience) > WAIT_SECONDS_MAX


def test_nginx_hands_on_one_address_of_the_client_and_not_what_it_claims() -> None:
    text = (COMPOSE / "nginx/proxy.conf").read_text()
    assert "proxy_set_header X-Forwarded-For $remote_addr;" in text
    assert "proxy_add_x_forwarded_for" not in text


def test_prometheus_asks_every_replica_of_every_service() -> None:
    jobs = YAML(typ="safe", pure=True).load(
        (COMPOSE / "observability/prometheus.yaml").read_text()
    )["scrape_configs"]
    (found,) = next(job for job in jobs if job["job_name"] == "kwe")["dns_sd_configs"]
    assert set(found["names"]) == set(OURS)
    assert str(found["port"]) == SERVICES["gateway"]["environment"]["METRICS_PORT"]


def test_every_variable_of_the_files_themselves_is_explained() -> None:
    text = "\n".join(path.read_text() for path in COMPOSE.glob("compose*.yaml"))
    named = set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", text)) - {each.name for each in variables()}
    readme = (COMPOSE / "README.md").read_text()
    assert not [name for name in sorted(named) if f"`{name}`" not in readme]
