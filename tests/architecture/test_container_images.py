"""Our images: small, locked, without root, and built by make; refusals are one line."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("gateway", "orchestrator", "executor", "knowledge")
DOCKERFILES = {name: ROOT / "services" / name / "Dockerfile" for name in SERVICES} | {
    name: ROOT / "deploy" / name / "Dockerfile" for name in ("migrate", "backup")
}
SCRIPT = ROOT / "deploy/images/images.sh"


@pytest.fixture(params=DOCKERFILES)
def stages(request: pytest.FixtureRequest) -> tuple[str, str]:
    """What builds, and what is shipped."""
    build, shipped = re.split(r"(?m)^FROM ", DOCKERFILES[request.param].read_text())[1:]
    return build, shipped


def images(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [str(SCRIPT), *arguments],
        env=kept | {"VERSION": "1.4.0"} | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_what_is_shipped_was_locked_and_has_no_build_tools(stages: tuple[str, str]) -> None:
    build, shipped = stages
    assert "uv sync --locked --no-dev --no-editable" in build
    assert "COPY --from=build /src/.venv /src/.venv" in shipped
    assert "pip" not in shipped
    assert not re.search(r"uv|gcc|build-essential|python3-dev", shipped)


def test_an_image_runs_as_an_ordinary_user_with_a_number(stages: tuple[str, str]) -> None:
    users = re.findall(r"(?m)^USER (.+)$", stages[1])
    assert users == ["10001"]


def test_an_image_says_what_it_is(stages: tuple[str, str]) -> None:
    for label in ("title", "description", "version", "revision", "licenses"):
        assert f"org.opencontainers.image.{label}=" in stages[1]


def test_secrets_of_the_build_are_mounted_and_never_copied(stages: tuple[str, str]) -> None:
    assert "--mount=type=secret,id=ca-bundle" in stages[0]
    assert not re.search(r"(?m)^(ARG|ENV) .*(TOKEN|PASSWORD|KEY|SECRET)", "\n".join(stages))


def test_what_is_secret_or_large_is_not_sent_to_the_engine() -> None:
    ignored = set((ROOT / ".dockerignore").read_text().split())
    assert {".git", ".env*", ".kwe", ".venv", "deploy", "tests"} <= ignored


@pytest.mark.parametrize("image", DOCKERFILES)
def test_the_list_of_parts_covers_what_the_image_installs(image: str) -> None:
    (options,) = re.findall(r"--no-editable (.*\\\n.*)\n", DOCKERFILES[image].read_text())
    installed = " ".join(options.replace("\\\n", " ").split()).replace("$EXTRAS", "${EXTRAS:-}")
    listed = SCRIPT.read_text().replace("kwe-$1", f"kwe-{image}")
    assert f'echo "{installed}"' in listed


@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_without_an_engine_images_are_refused_in_one_line(tmp_path: Path, engine: str) -> None:
    for program in ("sh", "git", "dirname"):
        (tmp_path / program).symlink_to(shutil.which(program) or "/bin/false")
    done = images("build", ENGINE=engine, PATH=str(tmp_path))
    assert done.returncode == 2
    assert done.stderr == (
        f"There is no {engine} on this machine: install Docker or Podman, or name yours with ENGINE=podman\n"
    )


def test_an_engine_that_does_not_answer_is_said_to() -> None:
    done = images("build", ENGINE="false")
    assert done.returncode == 2
    assert (
        done.stderr == "false does not answer: start its service, or see what 'false info' says\n"
    )


@pytest.mark.parametrize("version", ["1.4.0+build", "a/b", "-1", "two words"])
def test_a_version_that_is_no_tag_is_refused(version: str) -> None:
    done = images("build", VERSION=version)
    assert done.returncode == 2
    assert f"VERSION={version} is no image tag" in done.stderr


def test_nothing_is_pushed_without_a_place_to() -> None:
    done = images("push", ENGINE="true")
    assert done.returncode == 2
    assert done.stderr.startswith("REGISTRY is not set: make push VERSION=1.4.0 REGISTRY=")


def test_every_image_is_built_and_pushed_with_its_version_and_as_the_latest(tmp_path: Path) -> None:
    engine = tmp_path / "engine"
    engine.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/told\n')
    engine.chmod(0o755)
    for step in ("build", "push"):
        done = images(step, ENGINE=str(engine), REGISTRY="registry.example.com/team/")
        assert done.returncode == 0, done.stderr
    told = (tmp_path / "told").read_text()
    for image in DOCKERFILES:
        for tag in ("1.4.0", "latest"):
            name = f"registry.example.com/team/kwe-{image}:{tag}"
            assert f"--tag {name}" in told
            assert f"push {name}" in told
    assert told.count("--build-arg VERSION=1.4.0") == len(DOCKERFILES)


def test_the_parts_of_an_image_are_listed_from_the_lock() -> None:
    uv = ROOT / ".tools/bin/uv"
    if not uv.exists():
        pytest.skip("there is no uv of this checkout: make setup")
    version = "0.0.0-test"
    done = images("sbom", UV=str(uv), VERSION=version)
    files = [ROOT / f"dist/sbom/kwe-{image}-{version}.cdx.json" for image in DOCKERFILES]
    try:
        assert done.returncode == 0, done.stderr
        parts = [json.loads(file.read_text()) for file in files]
    finally:
        for file in files:
            file.unlink(missing_ok=True)
    assert all(each["bomFormat"] == "CycloneDX" for each in parts)
    named = [{part["name"] for part in each["components"]} for each in parts]
    assert all({"asyncpg", "pydantic"} <= names for names in named)
    assert not any("pytest" in names for names in named)
