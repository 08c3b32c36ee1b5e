"""From the environment to a settings object, or to one message that names everything wrong with it."""

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from common.errors import ConfigurationError
from common.settings.groups import SettingsGroup
from common.settings.secret_sources import with_secrets
from common.settings.values import Environment
from common.settings.variable import facts_of

S = TypeVar("S", bound=SettingsGroup)

_SECRET_FILE_BYTES_MAX = 64 * 1024


def load(settings_class: type[S]) -> S:
    """Read the process's environment. A wrong one ends the process: exit code 2 and one message."""
    if "APP_ENV" not in os.environ and "NODE_ENV" in os.environ:
        sys.stderr.write("warning: APP_ENV is not set; NODE_ENV is used instead\n")
    try:
        return read(settings_class, os.environ)
    except ConfigurationError as error:
        sys.stderr.write(f"{error.detail}\n")
        raise SystemExit(error.exit_code) from None


def read(settings_class: type[S], environ: Mapping[str, str]) -> S:
    """Raise `ConfigurationError` whose detail lists every bad or missing variable, and no value."""
    environ = with_secrets(environ)
    given, problems = _collect(settings_class, environ)
    # Commands that read one group only, such as `kwe migrate`, are as strict as the services.
    production = _environment_name(environ) == Environment.PRODUCTION
    if production:
        problems.update(_missing_in_production(settings_class, given))
    problems.update(settings_class.requirements(given, production=production))
    try:
        settings = settings_class.model_validate(given)
    except ValidationError as error:
        problems.update(_sentences(error))
    else:
        if not problems:
            return settings
    lines = "".join(f"\n  {sentence}" for sentence in sorted(problems))
    raise ConfigurationError(f"The settings in the environment are not usable:{lines}")


def _collect(
    settings_class: type[SettingsGroup], environ: Mapping[str, str]
) -> tuple[dict[str, str], set[str]]:
    """The raw values by field name. An empty variable counts as unset, as compose files write them."""
    given: dict[str, str] = {}
    problems: set[str] = set()
    for name, field in settings_class.model_fields.items():
        variable = name.upper()
        if value := environ.get(variable, ""):
            given[name] = value
        path = environ.get(f"{variable}_FILE", "") if facts_of(field).secret else ""
        if value and path:
            problems.add(f"{variable} and {variable}_FILE are both set: keep one")
        elif path:
            try:
                given[name] = _read_secret(Path(path))
            except (OSError, ValueError) as error:
                problems.add(f"{variable}_FILE {_why_unreadable(error)}")
    if "app_env" in settings_class.model_fields and (named := _environment_name(environ)):
        given["app_env"] = named
    return given, problems


def _environment_name(environ: Mapping[str, str]) -> str:
    return environ.get("APP_ENV", "") or environ.get("NODE_ENV", "")


def _read_secret(path: Path) -> str:
    """The file's text without the line end that editors and `echo` leave behind."""
    with path.open("rb") as file:
        content = file.read(_SECRET_FILE_BYTES_MAX + 1)
    text = content.decode().rstrip("\r\n")
    if not text or len(content) > _SECRET_FILE_BYTES_MAX:
        raise ValueError("size")
    return text


def _why_unreadable(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror}"
    return "should name a text file that is not empty and at most 64 KiB long"


def _missing_in_production(
    settings_class: type[SettingsGroup], given: Mapping[str, str]
) -> Iterator[str]:
    for name, field in settings_class.model_fields.items():
        if facts_of(field).required_in_production and name not in given:
            yield f"{name.upper()} is required in production"


def _sentences(error: ValidationError) -> Iterator[str]:
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        name = str(problem["loc"][0]).upper() if problem["loc"] else "The environment"
        message = problem["msg"].removeprefix("Value error, ")
        yield f"{name}: {message[:1].lower()}{message[1:]}"
