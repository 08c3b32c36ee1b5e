"""Renders the overlays and pools and judges what comes out: schemas of Kubernetes and of the operators, and policies.

`make check-manifests` runs it with the tools it installs below .tools/manifests; from then on no network is needed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

HERE = Path(__file__).resolve().parent
K8S = HERE.parent
OVERLAYS = ("development", "production")
POOL = "functions"
"""The pool that is there to be copied, and so in no overlay."""

KUBERNETES = ("1.30", "1.32", "1.34")
OPERATORS = (
    "keda.sh",
    "monitoring.coreos.com",
    "cert-manager.io",
    "external-secrets.io",
    "cnpg.io",
)
UNCHECKED = "redis.opstreelabs.in"
"""No package has the schemas of this operator; the example was held against them by hand."""

Object = dict[str, Any]
Found = list[tuple[str, Object]]


def main() -> int:
    tools = Path(sys.argv[1]).resolve()
    command = renderer()
    if command is None:
        sys.stderr.write(
            "check-manifests: install kubectl or kustomize, one of them renders manifests\n"
        )
        return 2
    folder = tools / "rendered"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    folders = {name: K8S / "overlays" / name for name in OVERLAYS}
    folders[f"production-with-{POOL}"] = with_pool(tools / "with-pool")
    files = [render(command, path, folder / f"{name}.yaml") for name, path in folders.items()]
    found = [(path.name, each) for path in files for each in objects(path)]
    found += [
        (path.name, each) for path in sorted(K8S.glob("examples/*.yaml")) for each in objects(path)
    ]
    faults = [*core_faults(found), *custom_faults(found, tools), *policy_faults(files, tools)]
    for fault in faults:
        sys.stdout.write(f"{fault}\n")
    verdict = f"{len(faults)} faults" if faults else "no fault"
    sys.stdout.write(
        f"check-manifests: {len(found)} objects in {len(files)} installations and the examples: {verdict}\n"
    )
    return 1 if faults else 0


def renderer() -> list[str] | None:
    if shutil.which("kustomize"):
        return ["kustomize", "build"]
    return ["kubectl", "kustomize"] if shutil.which("kubectl") else None


def with_pool(folder: Path) -> Path:
    """An overlay as the README tells to make it: production, and a pool beside it."""
    folder.mkdir(exist_ok=True)
    listed = [
        os.path.relpath(K8S / each, folder) for each in ("overlays/production", f"pools/{POOL}")
    ]
    (folder / "kustomization.yaml").write_text(
        json.dumps({"namespace": "kwe", "resources": listed})
    )
    return folder


def render(command: list[str], source: Path, target: Path) -> Path:
    run = subprocess.run([*command, str(source)], capture_output=True, text=True, check=False)  # noqa: S603
    if run.returncode != 0:
        sys.exit(f"check-manifests: {source.name}: {run.stderr.strip()}")
    target.write_text(run.stdout)
    return target


def objects(path: Path) -> list[Object]:
    return [each for each in yaml.safe_load_all(path.read_text()) if each]


def core_faults(found: Found) -> Iterator[str]:
    """Every object of Kubernetes itself, in every version that we promise, unknown fields refused."""
    for file, each in found:
        where = f"{file}: {each['kind']} {each['metadata']['name']}"
        if any(name in each["apiVersion"] for name in (*OPERATORS, UNCHECKED)):
            continue
        for version in KUBERNETES:
            try:
                kubernetes_validate.validate(each, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                path = ".".join(str(part) for part in error.path)
                yield f"{where}: Kubernetes {version}: {path}: {error.message}"
            except kubernetes_validate.SchemaNotFoundError as error:
                yield f"{where}: {error.message}"


def custom_faults(found: Found, tools: Path) -> list[str]:
    """Objects of operators. Their schemas come as packages for Node."""
    if shutil.which("node") is None or not (tools / "node_modules").exists():
        sys.stdout.write("skipped: schemas of operators (KEDA and others) need Node and npm\n")
        return []
    given = json.dumps([{"file": file, "object": each} for file, each in found], default=str)
    script = ["node", str(HERE / "custom-resources.mjs"), str(tools)]
    run = subprocess.run(script, input=given, capture_output=True, text=True, check=False)  # noqa: S603
    if run.stderr:
        return [f"schemas of operators: {run.stderr.strip().splitlines()[-1]}"]
    return run.stdout.splitlines()


def policy_faults(files: list[Path], tools: Path) -> list[str]:
    """The policies of checkov, without the ones that exceptions.yaml gives a reason against."""
    checkov = Path(sys.executable).parent / "checkov"
    command = [str(checkov), "--config-file", str(HERE / "exceptions.yaml"), "--skip-download"]
    for path in files:
        command += ["--file", str(path)]
    # It would otherwise look for newer versions of itself.
    environment = os.environ | {"CHECKOV_RUN_SCA_PACKAGE_SCAN": "false", "BC_SKIP_MAPPING": "TRUE"}
    run = subprocess.run(  # noqa: S603
        [*command, "--output", "json"],
        cwd=tools,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        reported = json.loads(run.stdout)
    except ValueError:
        return [f"checkov gave no report: {(run.stderr or run.stdout).strip()[:300]}"]
    failed = (
        reported.get("results", {}).get("failed_checks", []) if isinstance(reported, dict) else []
    )
    return [
        f"{Path(each['file_path']).name}: {each['resource']}: {each['check_id']} {each['check_name']}"
        for each in failed
    ]


if __name__ == "__main__":
    sys.exit(main())
