"""The text of each split of a configuration, from its files or cut from the training file. No ids yet.

What a file means is decided by the model kind: pairs for a translator, one text for the others.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Iterable, Mapping

from seq2seq_jax.config import FILES, KINDS, Config, get, replace
from seq2seq_jax.data import named, readers, splits
from seq2seq_jax.errors import UserError

SPLITS = ("train", "dev", "test")
WORD_QUESTIONS = ("analogies", "similarity")  # settings of further files, of what word vectors are asked
Pairs = list[tuple[str, str]]


@dataclasses.dataclass(frozen=True)
class Sources:
    """Splits as text.

    Attributes:
      content: pairs or a text of each split that there is.
      sha256: hash of the content of each file read, by the split that it is named for.
      paths: where these files lie, absolute, as settings.
      notes: sentences on what was left out in reading.
    """

    content: dict[str, Pairs] | dict[str, str]
    sha256: dict[str, str]
    paths: dict[str, str]
    notes: list[str]


def read_splits(config: Config, asked: Iterable[str]) -> Sources:
    """Reads the splits that are asked for; touches no file that they do not need.

    With only data.train given, dev and test are cut from it; with data.test too, dev is; with data.dev, nothing is.
    A share of 0 cuts nothing. Raises UserError for every mistake in the data.
    """
    _check_form(config)
    files = _files_of(config)
    cut = [split for split in SPLITS[1:] if split not in files and "dev" not in files]
    needed = set(asked)
    if needed & set(cut):
        needed.add("train")
    paths = {split: place for split, place in files.items() if split in needed}
    paths = _located(config, paths)
    notes: list[str] = []
    read_pairs = readers.read_pairs if config.data.name is None else named.data_set(config.data.name).read_pairs
    content: dict = {split: read_file(config, path, notes, read_pairs) for split, path in paths.items()}
    if cut and "train" in content:
        content |= _cut(config, content["train"], cut)
    return Sources(content, {split: readers.sha256_of(path) for split, path in paths.items()}, paths, notes)


def sha256_of(config: Config) -> dict[str, str]:
    """Returns the hash of the content of every file of a configuration's data, by split or setting, as a run records it.

    Takes no more than reading them. Raises UserError where one cannot be read.
    """
    questions = {name: path for name in WORD_QUESTIONS if (path := get(config, f"data.{name}")) is not None}
    return {name: readers.sha256_of(path) for name, path in {**_located(config, _files_of(config)), **questions}.items()}


def read_file(config: Config, path: str, notes: list[str], read_pairs: Callable[[str], Pairs] = readers.read_pairs) -> Pairs | str:
    """Returns the pairs or the text of a file, normalized as the configuration asks; says in ``notes`` what it left out."""
    nfc = config.data.normalize_nfc
    if _form(config) == "text":
        text = readers.normalize(readers.read_text(path), nfc)
        return _distinct_lines(text, path, notes) if config.data.lines else text
    pairs = read_pairs(path)
    return [(readers.normalize(source, nfc), readers.normalize(target, nfc)) for source, target in pairs] if nfc else pairs


def has_dev(config: Config) -> bool:
    """Returns whether the configuration asks for a dev split. Raises UserError where it does not say what to read."""
    return "dev" in _files_of(config) or config.data.dev_fraction > 0


def with_absolute_paths(config: Config) -> Config:
    """Returns the configuration with absolute paths in its settings that hold files, for config.json."""
    given = {path: get(config, path) for path in FILES}
    paths = {path: absolute(config, spec) for path, spec in given.items() if spec is not None}
    if config.model.pretrained is not None:
        paths["model.pretrained"] = str(pathlib.Path(config.model.pretrained).absolute())
    return replace(config, paths)


def absolute(config: Config, spec: str) -> str:
    """Returns a file setting with absolute paths; for a text it is one file, whatever its name."""
    return str(pathlib.Path(spec).absolute()) if _form(config) == "text" else readers.absolute(spec)


def _form(config: Config) -> str:
    return KINDS[config.model.kind].form


def _check_form(config: Config) -> None:
    name = config.data.name
    if name is not None and (form := named.data_set(name).form) != _form(config):
        holds, needs = ("one text", "pairs") if form == "text" else ("pairs", "one text")
        raise UserError(f"data.name={name}: holds {holds}; expected {needs} for model.kind={config.model.kind}")


def _files_of(config: Config) -> dict[str, str]:
    """Returns the settings of the splits that have a file of their own, train first; empty ones where named."""
    given = {split: spec for split in SPLITS if (spec := get(config, f"data.{split}")) is not None}
    if config.data.name is not None:
        if given:
            raise UserError(f"data.{min(given)}: the data set data.name={config.data.name} brings its own files; expected one of the two")
        return dict.fromkeys(named.data_set(config.data.name).files, "")
    if "train" not in given:
        raise UserError("data.train: expected a training file, or a data set in data.name")
    return given


def _located(config: Config, files: Mapping[str, str]) -> dict[str, str]:
    """Returns where the files of splits lie, absolute, as settings; those of a named data set are downloaded where they are not cached."""
    if config.data.name is None:
        return {split: absolute(config, spec) for split, spec in files.items()}
    return {split: named.locate(config.data.name, split) for split in files}


def _distinct_lines(text: str, path: str, notes: list[str]) -> str:
    lines = readers.split_lines(text)
    distinct = dict.fromkeys(line for line in lines if line)
    empty = lines.count("")
    repeated = len(lines) - empty - len(distinct)
    if empty:
        notes.append(f"{path}: {empty} empty lines dropped.")
    if repeated:
        notes.append(f"{path}: {repeated} repeated lines dropped.")
    return _joined(distinct)


def _cut(config: Config, train: Pairs | str, sides: list[str]) -> Mapping[str, Pairs | str]:
    """Cuts the sides that a share above 0 asks for from the training content; returns it and them."""
    dev, test = (get(config, f"data.{side}_fraction") if side in sides else 0.0 for side in ("dev", "test"))
    if not isinstance(train, str):
        found: dict = splits.split_pairs(train, dev, test)
    elif config.data.lines:
        found = {side: _joined(lines) for side, lines in splits.split_lines(readers.split_lines(train), dev, test).items()}
    else:
        found = dict(splits.split_text(train, dev, test, at_blank=config.data.target_unit in ("word", "bpe")))
    return {side: content for side, content in found.items() if content}


def _joined(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
