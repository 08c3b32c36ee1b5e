"""kwe init"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import click

from kwe.cli.failures import UsageProblem
from kwe.cli.output import console

FILES = ("workflow.yaml", "functions.py", "test_functions.py", "README.md")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def init(folder: Path) -> None:
    """Make FOLDER with a workflow, a function of your own, its test, and a README that says how to run them.

    \b
      kwe init my-project && cat my-project/README.md
    """
    present = [name for name in FILES if (folder / name).exists()]
    if present:
        raise UsageProblem(f"{folder / present[0]} is there already; choose another folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageProblem(f"{folder} cannot be made: {error.strerror}") from None
    templates = resources.files("kwe.templates")
    for name in FILES:
        # Python files end in .txt in the package, so that no tool takes them for ours.
        text = templates.joinpath(f"{name}.txt").read_text(encoding="utf-8")
        (folder / name).write_text(text, encoding="utf-8")
        console().print(f"wrote {folder / name}", markup=False)
    console().print(f"\nNext: read {folder / 'README.md'}", markup=False)
