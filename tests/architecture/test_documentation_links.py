"""Pages lead where they say: every relative link of ours resolves, to a file and to a heading in it."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from fenced_blocks import ROOT, prose

FOLDERS = ("docs", "deploy", "examples", "services", "libs")
PAGES = sorted(
    [*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))]
)
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
ELSEWHERE = re.compile(r"[a-z]+:")


def links(page: Path) -> list[str]:
    text = re.sub(r"`[^`\n]*`", lambda code: code[0] if "](" not in code[0] else "", prose(page))
    return [link for link in LINK.findall(text) if not ELSEWHERE.match(link)]


def anchors(page: Path) -> set[str]:
    """As GitHub names headings: small letters, no punctuation, hyphens for spaces."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def target(page: Path, link: str) -> Path:
    path = unquote(link.partition("#")[0])
    return (page.parent / path).resolve() if path else page


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    broken = []
    for link in links(page):
        found, fragment = target(page, link), link.partition("#")[2]
        if not found.exists() or (fragment and fragment not in anchors(found)):
            broken.append(link)
    assert not broken


def led_to(page: Path) -> list[Path]:
    """A folder leads to its own page about it, or to all of its pages."""
    if page.is_dir():
        about = page / "README.md"
        return [about] if about.exists() else list(page.glob("*.md"))
    return [target(page, link) for link in links(page)] if page.suffix == ".md" else []


def test_everything_that_is_documented_can_be_found_from_the_readme() -> None:
    found: set[Path] = set()
    ahead = [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        if page not in found:
            found.add(page)
            ahead += led_to(page)
    pages = {*(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("README.md")}
    assert not [name(page) for page in pages - found]


def test_the_readme_is_one_screen_that_begins_with_two_commands() -> None:
    text = (ROOT / "README.md").read_text()
    commands = re.search(r"^## Two commands\n.*?^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert commands is not None
    assert [line.split("#")[0].strip() for line in commands[1].splitlines()] == [
        "make run",
        "make test",
    ]
    assert text.index("## Two commands") == text.index("## ")
    assert len(text.splitlines()) <= 110


def test_the_architecture_knows_every_package_and_every_module_it_names() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    packages = [
        folder for parent in ("services", "libs") for folder in (ROOT / parent).glob("*/src")
    ]
    assert not [each for each in packages if f"`{each.parent.relative_to(ROOT)}`" not in text]
    modules = [each for folder in packages for each in folder.iterdir()]
    by_name = {each.name: each for each in modules}
    for package, path in re.findall(r"`(common|kwe|gateway|orchestrator)\.([a-z_.]+)`", text):
        module = by_name[package].joinpath(*path.split("."))
        assert module.is_dir() or module.with_suffix(".py").exists(), f"{package}.{path}"
