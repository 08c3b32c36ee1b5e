"""How the tests of documents write them, and where the language's own examples are.

The examples and the schema of the language are not part of this repository: they are in the specification's. Tests that
need them look in the folder `KWE_DSL_EXAMPLES`, with `examples/` and `workflow.schema.yaml`, and are skipped without.
"""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from workflow.document import (
    Construct,
    Diagnostic,
    Functions,
    FunctionSpec,
    load_document,
    validate,
)

HEADER = "document: {dsl: '1.0.3', namespace: tests, name: sample, version: '1.0.0'}\n"

Find = Callable[..., list[Diagnostic]]


@pytest.fixture
def language_folder() -> Path:
    """The folder with `examples/` and `workflow.schema.yaml`."""
    given = os.environ.get("KWE_DSL_EXAMPLES")
    if not given:
        pytest.skip("KWE_DSL_EXAMPLES does not say where the language's examples are")
    folder = Path(given)
    folder = folder.parent if folder.name == "examples" else folder
    assert (folder / "examples").is_dir(), f"KWE_DSL_EXAMPLES: there is no {folder}/examples"
    return folder


@pytest.fixture
def diagnose() -> Find:
    """Diagnostics of a document: `body` follows a valid header, from line 2 on."""

    def find(
        body: str,
        *,
        header: str = HEADER,
        everything: bool = True,
        own: tuple[FunctionSpec, ...] = (),
    ) -> list[Diagnostic]:
        executable = {"executable": frozenset(Construct)} if everything else {}
        return validate(load_document(header + body), functions=Functions(own), **executable)

    return find


@pytest.fixture
def only(diagnose: Find) -> Callable[..., Diagnostic]:
    """The single diagnostic of a document."""

    def find(body: str, **options: object) -> Diagnostic:
        found = diagnose(body, **options)
        assert len(found) == 1, [str(diagnostic) for diagnostic in found]
        return found[0]

    return find
