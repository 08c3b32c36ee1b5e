"""Every configuration file passes the check of the program that reads it."""

import os
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

OVERLAYS = ("nginx", "observability", "elk", "replica", "consoles", "external")
SERVERS = {"DATABASE_URL": "postgresql://kwe@db/kwe", "REDIS_URL": "redis://redis/0"}


def arguments_for(folder: Path, *overlays: str) -> list[str]:
    files = ["compose.yaml", *(f"compose.{name}.yaml" for name in overlays)]
    return [word for file in files for word in ("-f", str(folder / file))]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_each_overlay_is_accepted_by_compose(
    compose: Any, compose_folder: Path, overlay: str
) -> None:
    done = compose.run(
        *arguments_for(compose_folder, overlay),
        *("--profile", "certbot", "--profile", "tools", "config", "--quiet"),
        env=os.environ | SERVERS,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_compose_accepts_the_base_alone_and_all_overlays_together(
    compose: Any, compose_folder: Path
) -> None:
    for overlays in ((), tuple(name for name in OVERLAYS if name != "external")):
        done = compose.run(*arguments_for(compose_folder, *overlays), "config", "--quiet")
        assert (done.returncode, done.stderr) == (0, "")


def test_whatever_overlays_are_chosen_nobody_publishes_a_port_twice(
    compose: Any, compose_folder: Path
) -> None:
    for pair in combinations(("nginx", "observability", "consoles"), 2):
        done = compose.run(*arguments_for(compose_folder, *pair), "config")
        ports = [line for line in done.stdout.splitlines() if "published:" in line]
        assert len(ports) == len(set(ports)), pair


def test_servers_of_ones_own_replace_ours(compose: Any, compose_folder: Path) -> None:
    done = compose.run(
        *arguments_for(compose_folder, "external"), "config", env=os.environ | SERVERS
    )
    assert "pgvector" not in done.stdout
    assert "image: valkey" not in done.stdout
    assert done.stdout.count("DATABASE_URL: postgresql://kwe@db/kwe") >= 5


def test_a_missing_server_of_ones_own_is_named(compose: Any, compose_folder: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if name not in SERVERS}
    done = compose.run(*arguments_for(compose_folder, "external"), "config", env=environ)
    assert done.stdout == ""
    assert "name your server, such as" in done.stderr


def test_prometheus_accepts_its_configuration_and_our_rules(
    promtool: Any, compose_folder: Path, tmp_path: Path
) -> None:
    rules = compose_folder.parent / "observability/rules"
    text = (compose_folder / "observability/prometheus.yaml").read_text()
    (tmp_path / "prometheus.yaml").write_text(text.replace("/etc/prometheus/rules", str(rules)))
    done = promtool.run("check", "config", str(tmp_path / "prometheus.yaml"))
    assert done.returncode == 0, done.stderr
    assert "rules found" in done.stdout


def test_alertmanager_accepts_its_configuration(
    amtool: Any, compose_folder: Path, tmp_path: Path
) -> None:
    text = (compose_folder / "observability/alertmanager.yaml").read_text()
    if amtool.version < (0, 26, 0):
        # Older ones know no file with the address.
        text = text.replace("url_file: /run/secrets/alert_webhook_url", "url: http://127.0.0.1/")
    (tmp_path / "alertmanager.yaml").write_text(text)
    done = amtool.run("check-config", str(tmp_path / "alertmanager.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_nginx_accepts_the_configuration_of_the_consoles(
    nginx: Any, compose_folder: Path, tmp_path: Path
) -> None:
    text = (compose_folder / "nginx/consoles.conf").read_text()
    module = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
    if module.exists() and nginx.command == ["nginx"]:
        text = f"load_module {module};\n{text}"
    text = text.replace("/run/nginx.pid", f"{tmp_path}/pid").replace("/dev/stderr", "stderr")
    (tmp_path / "nginx.conf").write_text(text)
    done = nginx.run("-t", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf"))
    if 'unknown directive "stream"' in done.stderr:
        pytest.skip("this nginx has no stream module")
    assert done.returncode == 0, done.stderr
