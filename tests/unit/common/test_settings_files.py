"""The committed documents say what the code does."""

from pathlib import Path

import pytest

from common.settings.docs import env_example, markdown

ROOT = next(folder for folder in Path(__file__).parents if (folder / "uv.lock").exists())


@pytest.mark.parametrize(
    ("path", "expected", "form"),
    [("docs/settings.md", markdown, "markdown"), (".env.production.example", env_example, "env")],
)
def test_generated_documents_are_up_to_date(path: str, expected: object, form: str) -> None:
    assert callable(expected)
    advice = f"run: python -m common.settings.docs {form} > {path}"
    assert (ROOT / path).read_text(encoding="utf-8") == expected(), advice
