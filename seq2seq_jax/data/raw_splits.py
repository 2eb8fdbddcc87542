"""The text of each split of a configuration, from its files or cut from the training file. No ids yet.

What a file means is decided by the model kind: pairs for a translator, one text for the others.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Iterable, Mapping

from seq2seq_jax.config import FILES, Config, get, replace
from seq2seq_jax.data import mistakes, named, readers, splits
from seq2seq_jax.data.vocabulary import words_of
from seq2seq_jax.errors import UserError
from seq2seq_jax.kinds import KINDS

HELD_OUT = ("dev", "test")
SPLITS = ("train", *HELD_OUT)
WORD_QUESTIONS = ("analogies", "similarity")  # fields of data that name further files: what word vectors are asked
Pairs = list[tuple[str, str]]
FileVersions = tuple[tuple[str, int, int], ...]  # of each file its path, when it was changed last (ns) and its size (bytes)


@dataclasses.dataclass(frozen=True)
class RawSplits:
    """Splits as text.

    Attributes:
      content: pairs or a text of each split that there is.
      sha256: hash of what was read for each split that has a file of its own.
      paths: the absolute path specification of each of these splits (see ``readers.files_of``).
      notes: sentences on what was left out in reading and on what looks like a mistake in a file.
    """

    content: dict[str, Pairs] | dict[str, str]
    sha256: dict[str, str]
    paths: dict[str, str]
    notes: list[str]


def read_splits(config: Config, asked: Iterable[str]) -> RawSplits:
    """Reads the splits that are asked for; touches no file that they do not need.

    With only data.train given, dev and test are cut from it; with data.test too, dev is; with data.dev, nothing is.
    A share of 0 cuts nothing. Raises UserError for every mistake in the data.
    """
    _check_form(config)
    given, cut = _splits_of(config), cut_splits(config)
    needed = set(asked)
    if needed & set(cut):
        needed.add("train")
    paths = {split: _located(config, split) for split in given if split in needed}
    notes: list[str] = []
    read_pairs = readers.read_pairs if config.data.name is None else named.data_set(config.data.name).read_pairs
    content: dict = {split: read_file(config, path, notes, read_pairs) for split, path in paths.items()}
    if cut and "train" in content:
        content |= _cut(config, content["train"], cut)
    return RawSplits(content, {split: readers.spec_sha256(path) for split, path in paths.items()}, paths, notes)


def data_sha256(config: Config) -> dict[str, str]:
    """Returns the hash of the content of every file of a configuration's data, by split or field, as a run records it.

    It reads them, and downloads those of a named data set that are not in the cache. Raises UserError where one cannot be read.
    """
    files = {split: _located(config, split) for split in _splits_of(config)}
    questions = {name: path for name in WORD_QUESTIONS if (path := get(config, f"data.{name}")) is not None}
    return {name: readers.spec_sha256(path) for name, path in {**files, **questions}.items()}


def read_file(config: Config, path: str, notes: list[str], read_pairs: Callable[[str], Pairs] = readers.read_pairs) -> Pairs | str:
    """Returns the pairs or the text of a file, normalized as the configuration asks.

    Says in ``notes`` what it left out and what looks like a mistake.
    """
    nfc = config.data.normalize_nfc
    if _form(config) == "text":
        text = readers.normalize(readers.read_text(path), nfc)
        looked_at = mistakes.some(readers.lines_of(text, path))
        if not (nfc or text.isascii()):
            notes += mistakes.mixed_forms(looked_at, path)
        if config.data.target_unit == "word":
            notes += mistakes.single_words(looked_at, path)
        return _distinct_lines(text, path, config.data.target_unit, notes) if config.data.lines else text
    pairs = [(_as_read(source, config.data.source_unit), target) for source, target in read_pairs(path)]
    some = mistakes.some(pairs)
    if len(readers.files_of(path)) == 1:
        notes += mistakes.quoted(some, path)
    notes += mistakes.blanks_at_ends(some, path, (config.data.source_unit, config.data.target_unit))
    if nfc:
        return [(readers.normalize(source, nfc), readers.normalize(target, nfc)) for source, target in pairs]
    notes += mistakes.mixed_forms(["\t".join(pair) for pair in some], path)
    return pairs


def cut_splits(config: Config) -> list[str]:
    """Returns the splits that are cut from the training file. Raises UserError for an unknown data set."""
    given = _splits_of(config)
    return [split for split in HELD_OUT if split not in given and "dev" not in given]


def has_dev(config: Config) -> bool:
    """Returns whether the configuration asks for a dev split. Raises UserError for an unknown data set."""
    return "dev" in _splits_of(config) or config.data.dev_fraction > 0


def with_absolute_paths(config: Config) -> Config:
    """Returns the configuration with absolute paths in the fields that name files, for config.json."""
    given = {path: get(config, path) for path in FILES}
    paths = {path: absolute(config, spec) for path, spec in given.items() if spec is not None}
    if config.model.pretrained is not None:
        paths["model.pretrained"] = str(pathlib.Path(config.model.pretrained).absolute())
    return replace(config, paths)


def file_versions(config: Config) -> FileVersions:
    """Returns of every file that a configuration names, and that is there, when it was changed last and its size."""
    given = (absolute(config, spec) for path in FILES if (spec := get(config, path)) is not None)
    files = [file for spec in given for file in (readers.files_of(spec) if _form(config) == "pairs" else [pathlib.Path(spec)])]
    stats = [(str(file), file.stat()) for file in files if file.exists()]
    return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in stats)


def absolute(config: Config, spec: str) -> str:
    """Returns a path specification with absolute paths; of a text it is one file, also where its name has a comma."""
    return str(pathlib.Path(spec).absolute()) if _form(config) == "text" else readers.absolute(spec)


def _form(config: Config) -> str:
    return KINDS[config.model.kind].form


def _check_form(config: Config) -> None:
    name = config.data.name
    if name is not None and (form := named.data_set(name).form) != _form(config):
        holds, needs = ("one text", "pairs") if form == "text" else ("pairs", "one text")
        raise UserError(f"data.name={name}: holds {holds}; expected {needs} for model.kind={config.model.kind}")


def _splits_of(config: Config) -> list[str]:
    """Returns the splits that have a file of their own, train first."""
    if config.data.name is not None:
        return list(named.data_set(config.data.name).files)
    return [split for split in SPLITS if get(config, f"data.{split}") is not None]


def _located(config: Config, split: str) -> str:
    """Returns the absolute path specification of a split; what a named data set lacks in the cache is downloaded."""
    name = config.data.name
    return absolute(config, get(config, f"data.{split}")) if name is None else named.locate(name, split)


def _as_read(text: str, unit: str) -> str:
    """Returns the same text for texts that are read alike: words, whatever blanks stand between them."""
    return " ".join(words_of(text)) if unit == "word" else text


def _distinct_lines(text: str, path: str, unit: str, notes: list[str]) -> str:
    lines = [_as_read(line, unit) for line in readers.lines_of(text, path)]
    distinct = dict.fromkeys(line for line in lines if line)
    if not distinct:
        raise UserError(f"{path}: all lines are empty; expected some text")
    empty = lines.count("")
    repeated = len(lines) - empty - len(distinct)
    if empty:
        notes.append(f"{path}: {empty} empty lines dropped.")
    if repeated:
        notes.append(f"{path}: {repeated} repeated lines dropped.")
    return _joined(distinct)


def _cut(config: Config, train: Pairs | str, held_out: list[str]) -> Mapping[str, Pairs | str]:
    """Cuts the splits ``held_out``, as far as their fraction is above 0, from the training content; returns what is left of it and them."""
    dev, test = (get(config, f"data.{split}_fraction") if split in held_out else 0.0 for split in HELD_OUT)
    if not isinstance(train, str):
        found: dict = splits.split_pairs(train, dev, test)
    elif config.data.lines:
        found = {split: _joined(lines) for split, lines in splits.split_by_line(readers.split_lines(train), dev, test).items()}
    else:
        found = dict(splits.split_text(train, dev, test, at_blank=config.data.target_unit in ("word", "bpe")))
    return {split: content for split, content in found.items() if content}


def _joined(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
