"""How nginx comes to its certificate: always one, the best there is, and a renewed one without a restart."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from nginx_stand import until, write_certificate


@pytest.fixture
def places(tmp_path: Path) -> dict[str, str]:
    """Folders for the script, and an nginx that only notes what it is told."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl here")
    program = tmp_path / "programs/nginx"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/told\n')
    program.chmod(0o755)
    (tmp_path / "told").touch()
    return {
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "TLS_TARGET": str(tmp_path / "tls"),
        "TLS_OWN": str(tmp_path / "own"),
        "TLS_ISSUED": str(tmp_path / "issued"),
        "TLS_INTERVAL": "0.1",
    }


def test_nginx_always_has_the_best_certificate_there_is(
    compose_folder: Path, tmp_path: Path, places: dict[str, str]
) -> None:
    used = tmp_path / "tls/fullchain.pem"
    process = subprocess.Popen(
        ["sh", str(compose_folder / "nginx/certificate.sh")],
        env=places,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.wait(30) == 0
        assert b"BEGIN CERTIFICATE" in used.read_bytes()
        assert (tmp_path / "tls/privkey.pem").stat().st_mode & 0o077 == 0
        assert "reload" not in (tmp_path / "told").read_text()
        for better in ("issued", "own"):
            (tmp_path / "told").write_text("")
            write_certificate(tmp_path / better)
            until(lambda: "-s reload" in (tmp_path / "told").read_text(), "nginx is reloaded")
            assert used.read_bytes() == (tmp_path / better / "fullchain.pem").read_bytes()
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        assert process.stderr is not None
        process.stderr.close()


def test_certbot_says_what_it_needs(compose_folder: Path) -> None:
    done = subprocess.run(
        ["sh", str(compose_folder / "nginx/certbot.sh")],
        env={"PATH": os.environ["PATH"], "DOMAIN": "api.example.com"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("DOMAIN and CERTBOT_EMAIL are needed")
    assert len(done.stderr.splitlines()) == 1
