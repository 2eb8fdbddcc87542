"""The packages: what may import what, and what stands in one file only. The rules are those of docs/architecture.md."""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
import pathlib
import re
from collections.abc import Iterator

import pytest

from seq2seq_jax.config import Config, fields

ROOT = pathlib.Path(__file__).parent.parent
PACKAGE = ROOT / "seq2seq_jax"
ROW = r"^\| `([a-z_]+)(?:/|\.py)` \|.*\| ([^|]*) \|$"
MAY_IMPORT = {
    package: set(re.findall(r"[a-z_]+", imported))
    for package, imported in re.findall(ROW, (ROOT / "docs/architecture.md").read_text(encoding="utf-8"), re.MULTILINE)
}
WITH_JAX = {"train", "sweep", "inference", "model", "decode", "arrays"}
JAX = {"jax", "flax", "optax", "orbax"}
READ_BY_A_COMPUTED_NAME = {
    *("data.train", "data.dev", "data.test"),  # data/raw_splits.py, _splits_of: f"data.{split}"
    "data.test_fraction",  # data/raw_splits.py, _cut: f"data.{split}_fraction"
    *("data.analogies", "data.similarity"),  # data/word_questions.py, load: f"data.{name}"
}


def imports(path: pathlib.Path) -> set[str]:
    """Returns the dotted names that a file imports anywhere, those for type checking only among them."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def package_of(path: pathlib.Path) -> str:
    """Returns the part of the package that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


FILES = sorted(PACKAGE.rglob("*.py"))


def test_packages_import_what_the_table_says():
    """Red if a file imports what the table does not allow, or if the table allows what no file imports (any more)."""
    found: dict[str, set[str]] = {}
    for path in FILES:
        reached = {name.split(".")[1] for name in imports(path) if name.startswith("seq2seq_jax.")}
        found.setdefault(package_of(path), set()).update(reached - {package_of(path)})
    del found["__init__"]
    assert found == {package: MAY_IMPORT[package] & set(found) for package in found}


def test_packages_without_jax_reach_none():
    """Red if comparing, say, would wait for JAX, be it by another package, or if the package itself imports anything."""
    assert set(MAY_IMPORT) >= WITH_JAX
    assert imports(PACKAGE / "__init__.py") == set()
    for path in FILES:
        if package_of(path) not in WITH_JAX:
            assert not {name.split(".")[0] for name in imports(path)} & JAX, path
            assert not {name.split(".")[1] for name in imports(path) if name.startswith("seq2seq_jax.")} & WITH_JAX, path


@pytest.mark.parametrize(
    ("pattern", "homes"),
    [
        (r"^\s*(from|import) orbax", {"train/checkpoints.py"}),
        (r"jax\.pmap\(", {"train/devices.py"}),
        (r"jax\.(value_and_)?grad\(", {"train/step.py", "inference/gradient_flow.py"}),  # which trains nothing
    ],
)
def test_what_stands_in_one_file_only(pattern, homes):
    holders = {str(path.relative_to(PACKAGE)) for path in FILES if re.search(pattern, path.read_text(encoding="utf-8"), re.MULTILINE)}
    assert holders == homes


def attributes(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Yields owner and name of each attribute that code reads, in whatever it does but fill in an f-string, which may be a message."""
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
        if isinstance(node.value, ast.Name):
            yield node.value.id, node.attr
        elif isinstance(node.value, ast.Attribute):
            yield node.value.attr, node.attr
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.JoinedStr):
            yield from attributes(child)


def test_every_setting_is_read_by_code():
    """Red if a field is named in prose and messages only, and if one of READ_BY_A_COMPUTED_NAME needs no exception (any more)."""
    sources = [path.read_text(encoding="utf-8") for path in FILES if path.name != "validation.py"]
    read = {found for source in sources for found in attributes(ast.parse(source))}
    read -= {("config", field.name) for field in dataclasses.fields(Config)}  # config.train is a section, not data.train
    unread = {path for path in fields() for section, name in [path.split(".")] if not read & {(section, name), ("config", name)}}
    assert unread == READ_BY_A_COMPUTED_NAME


def test_flags_are_read_in_the_command_only():
    assert [path for path in FILES if any(name.startswith("absl") for name in imports(path))] == [PACKAGE / "command.py"]


def test_the_readme_opens_with_the_two_commands_and_the_makefile_has_them():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```\w*\n(.*?)```", readme, re.DOTALL)
    assert {line.split("#")[0].strip() for line in blocks[0].splitlines()} == {"make sweep", "make test"}
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    used = {command for block in blocks for command in re.findall(r"^make ([a-z]+)", block, re.MULTILINE)}
    assert used <= targets
    assert {"make check", "make test"} <= set((ROOT / ".ci/run").read_text(encoding="utf-8").splitlines())


def test_the_commands_in_documents_and_experiments_are_understood():
    """Red if a verb or a flag that a page shows does not exist (any more)."""
    spec = importlib.util.spec_from_file_location("launch", ROOT / "launch.py")
    assert spec is not None
    assert spec.loader is not None
    launch = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(launch)
    pages = [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("experiments/*.py")]
    commands = [
        match
        for page in pages
        for match in re.findall(
            r"launch\.py (embeddings \w+|\w+)((?: +(?:\.\.\.|--[^\s`|<>#]+))*)",
            re.sub(r"\\\n\s*", " ", page.read_text(encoding="utf-8")),  # a command may go on in the next line
        )
    ]
    assert commands
    for verb, arguments in commands:
        if verb.endswith(("VERB", "STUDY")):
            continue
        verbs = launch.VERBS | launch.STUDY_VERBS
        assert verb in verbs, verb
        known = {option.name for option in verbs[verb].options}
        for flag in re.findall(r"--([\w.]+)", arguments):
            assert flag in known or flag == "help", f"{verb} --{flag}"
