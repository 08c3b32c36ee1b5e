"""SECRETS_SOURCE: variables from a secret manager, one JSON object whose keys are names of variables.

`aws-sm:NAME_OR_ARN` reads AWS Secrets Manager with the credentials that boto3 finds by itself (role of the instance or
service account, `AWS_…` variables). `vault:MOUNT/PATH` reads a version 2 key-value engine of HashiCorp Vault or OpenBao at
`VAULT_ADDR`, as whom `VAULT_TOKEN`, `VAULT_ROLE_ID` and `VAULT_SECRET_ID`, or `VAULT_ROLE` (Kubernetes) say.

Read once, at the start, before anything else is. What the environment names itself wins, so that one value can be
overruled without touching the manager. Either client is an optional extra and imported only when it is asked for.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from common.errors import ConfigurationError
from common.settings.groups import SettingsGroup
from common.settings.variable import variable

TIMEOUT_SECONDS: Final = 5
ATTEMPTS: Final = 2
_SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


class SecretSourceSettings(SettingsGroup):
    secrets_source: str | None = variable(
        None,
        pattern=r"^(aws-sm:.+|vault:[^/]+/.+)$",
        description="A secret manager that holds further variables as one JSON object: `aws-sm:NAME_OR_ARN` or "
        "`vault:MOUNT/PATH`. The environment wins over it. Needs the extra `aws` or `vault` of kwe-common.",
    )


def with_secrets(environ: Mapping[str, str]) -> Mapping[str, str]:
    """`environ`, completed from the source that it names. Raise `ConfigurationError` where that cannot be read."""
    source = environ.get("SECRETS_SOURCE", "")
    if not source:
        return environ
    try:
        SecretSourceSettings(secrets_source=source)
    except ValidationError:
        raise _unusable("it should look like aws-sm:NAME_OR_ARN or vault:MOUNT/PATH") from None
    kind, _, place = source.partition(":")
    found = _READERS[kind](place, environ)
    return {**_variables(found, environ), **environ}


def _variables(found: Any, environ: Mapping[str, str]) -> dict[str, str]:
    if not isinstance(found, Mapping):
        raise _unusable("the secret should be one JSON object of names and texts")
    variables = {}
    for name, value in found.items():
        key = str(name).upper()
        # A file is as explicit as a value, and an empty variable is none.
        if (
            environ.get(key)
            or environ.get(f"{key}_FILE")
            or isinstance(value, dict | list)
            or value is None
        ):
            continue
        variables[key] = str(value).lower() if isinstance(value, bool) else str(value)
    return variables


def _from_aws(place: str, environ: Mapping[str, str]) -> Any:
    try:
        import boto3  # type: ignore[import-untyped]
        from botocore.config import Config  # type: ignore[import-untyped]
        from botocore.exceptions import (  # type: ignore[import-untyped]
            BotoCoreError,
            ClientError,
        )
    except ModuleNotFoundError:
        raise _not_installed("aws") from None
    parts = place.split(":")
    region = parts[3] if parts[0] == "arn" and len(parts) > 3 else None
    try:
        # A session of its own: the one that boto3 shares keeps the first credentials it ever saw.
        client: Any = boto3.Session().client(
            "secretsmanager",
            region_name=region or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION"),
            config=Config(
                connect_timeout=TIMEOUT_SECONDS,
                read_timeout=TIMEOUT_SECONDS,
                retries={"total_max_attempts": ATTEMPTS},
            ),
        )
        answer = client.get_secret_value(SecretId=place)
        return json.loads(answer["SecretString"])
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "an error")
        raise _unusable(f"AWS Secrets Manager answered {code} for {place}") from error
    except BotoCoreError as error:
        raise _unusable(f"AWS Secrets Manager cannot be reached: {error}") from error
    except (KeyError, ValueError):
        raise _unusable(f"{place} holds no JSON object as text") from None


def _from_vault(place: str, environ: Mapping[str, str]) -> Any:
    try:
        import hvac  # type: ignore[import-untyped]
        import requests
    except ModuleNotFoundError:
        raise _not_installed("vault") from None
    address = environ.get("VAULT_ADDR")
    if not address:
        raise _unusable("VAULT_ADDR is not set")
    mount, _, path = place.partition("/")
    try:
        client: Any = hvac.Client(
            url=address,
            namespace=environ.get("VAULT_NAMESPACE") or None,
            timeout=TIMEOUT_SECONDS,
        )
        _log_in(client, environ)
        answer = client.secrets.kv.v2.read_secret_version(
            path=path, mount_point=mount, raise_on_deleted_version=True
        )
        return answer["data"]["data"]
    except hvac.exceptions.VaultError as error:
        # Its text may quote the path and the policy, never a value.
        raise _unusable(f"Vault answered {type(error).__name__} for {place}") from error
    except requests.RequestException as error:
        raise _unusable(
            f"Vault at {address} cannot be reached: {type(error).__name__}; see VAULT_ADDR"
        ) from error
    except (KeyError, TypeError, ValueError):
        raise _unusable(f"{address} does not answer as Vault does; see VAULT_ADDR") from None


def _log_in(client: Any, environ: Mapping[str, str]) -> None:
    if token := environ.get("VAULT_TOKEN"):
        client.token = token
    elif role_id := environ.get("VAULT_ROLE_ID"):
        client.auth.approle.login(role_id=role_id, secret_id=environ.get("VAULT_SECRET_ID"))
    elif role := environ.get("VAULT_ROLE"):
        client.auth.kubernetes.login(role=role, jwt=_service_account(environ))
    else:
        raise _unusable("set VAULT_TOKEN, VAULT_ROLE_ID with VAULT_SECRET_ID, or VAULT_ROLE")


def _service_account(environ: Mapping[str, str]) -> str:
    file = Path(environ.get("VAULT_JWT_FILE") or _SERVICE_ACCOUNT)
    try:
        return file.read_text().strip()
    except OSError as error:
        raise _unusable(
            f"the token of the service account cannot be read: {error.strerror}: {file}; mount one, or use VAULT_TOKEN"
        ) from None


_READERS: Final[Mapping[str, Callable[[str, Mapping[str, str]], Any]]] = {
    "aws-sm": _from_aws,
    "vault": _from_vault,
}


def _not_installed(extra: str) -> ConfigurationError:
    return _unusable(f"its client is not installed: pip install 'kwe-common[{extra}]'")


def _unusable(why: str) -> ConfigurationError:
    return ConfigurationError(f"SECRETS_SOURCE cannot be used: {why}", code="secrets_source")
