"""Who runs PostgreSQL, which refuses to be root.

An ordinary user runs it as himself. Root runs it in a user namespace in which root is called
1000: the files stay root's own, so it works below a home that nobody else may enter, and no
account is made. Where namespaces are forbidden (many containers), root becomes `nobody` instead;
then every folder above the data and above the program must let others pass.
"""

import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from embedded.errors import EmbeddedError

NOBODY = 65534
PROBE_TIMEOUT_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Identity:
    prefix: tuple[str, ...] = ()
    uid: int = 0
    """0 means: stay who we are."""

    def own(self, folder: Path) -> None:
        """Hand a folder over to the account that will run the server."""
        if not self.uid:
            return
        os.chown(folder, self.uid, self.uid)
        for parent, folders, files in os.walk(folder):
            for name in [*folders, *files]:
                os.chown(Path(parent, name), self.uid, self.uid, follow_symlinks=False)

    def require_passage(self, path: Path) -> None:
        """Say which folder is closed to the server's account, rather than fail obscurely later."""
        if not self.uid:
            return
        closed = [folder for folder in path.resolve().parents if not folder.stat().st_mode & 0o001]
        if closed:
            raise EmbeddedError(
                f"PostgreSQL must run as `nobody` here (user namespaces are not allowed), but "
                f"{closed[-1]} is closed to others. Run as an ordinary user, move the checkout, "
                f"or set DATABASE_URL to a server of your own."
            )


@cache
def unprivileged() -> Identity:
    if os.geteuid() != 0:
        return Identity()
    prefix = _namespace()
    return Identity(prefix=prefix) if prefix else Identity(uid=NOBODY)


def _namespace() -> tuple[str, ...]:
    unshare = shutil.which("unshare")
    if unshare is None:
        return ()
    prefix = (unshare, "--user", "--map-user=1000", "--map-group=1000")
    probe = subprocess.run(  # noqa: S603 - argv, no shell
        [*prefix, "true"], capture_output=True, check=False, timeout=PROBE_TIMEOUT_SECONDS
    )
    return prefix if probe.returncode == 0 else ()
