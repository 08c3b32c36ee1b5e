"""Which version this is: the installed package's."""

from functools import cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed


@cache
def version() -> str:
    try:
        return installed("kwe-common")
    except PackageNotFoundError:  # run from its sources
        return "unknown"
