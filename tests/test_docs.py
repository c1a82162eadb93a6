"""The documents tell the truth: links lead somewhere, settings and commands are all named, examples are accepted."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
import typer

from wayhouse.automation import scenario_file
from wayhouse.chutes import spec
from wayhouse.cli import main as cli
from wayhouse.gateway.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_every_setting_is_documented() -> None:
    text = (ROOT / "docs/guide/settings.md").read_text()
    for section in msgspec.structs.fields(Settings):
        for key in msgspec.structs.fields(section.type):
            assert f"`{section.name}.{key.name}`" in text, f"{section.name}.{key.name}"


def test_every_command_is_documented() -> None:
    text = (ROOT / "docs/guide/commands.md").read_text()
    group = typer.main.get_command(cli.app)
    for noun, command in group.commands.items():  # type: ignore[attr-defined]
        assert noun in text, noun
        for verb in getattr(command, "commands", {}):
            line = next(
                (line for line in text.splitlines() if f"wayhouse {noun}" in line and f"`{verb}`" in line),
                None,
            )
            assert line is not None or f"wayhouse {noun} {verb}" in text, f"{noun} {verb}"


def test_specifications_in_the_documents_are_accepted() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/guide/apps.md").read_text(), re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        assert not spec.parse(block.encode()).warnings


def test_scenarios_in_the_documents_are_accepted() -> None:
    blocks = re.findall(r"```toml\n(.*?)```", (ROOT / "docs/guide/automation.md").read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        assert scenario_file.read(block).is_ready


def test_architecture_names_every_room() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    for room in (ROOT / "src/wayhouse").iterdir():
        if (room / "__init__.py").exists():
            assert room.name in text


def test_every_dependency_has_its_line() -> None:
    import tomllib

    text = (ROOT / "docs/dependencies.md").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for requirement in project["dependencies"]:
        name = re.split(r"[<>=]", requirement)[0]
        assert name in text, name
