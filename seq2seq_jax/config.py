"""The configuration of a run: typed fields, their meaning and range.

Knows nothing of models or data but names and ranges, and imports no library, so that comparing runs never waits for
JAX. Defaults stand here or in an experiment file, nowhere else.
Read next: ``experiments/pronunciation.py`` for a configuration in use.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import typing
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal

from seq2seq_jax.errors import UserError, nearest

FORMAT_VERSION = 1  # of config.json, sweep.json and result.json

# Fields by which the members of a sweep are told apart.
SIZE, SEED, TABLE = "model.embedding_dim", "train.seed", "model.table"
SIDES = ("model.source_embedding_dim", "model.target_embedding_dim")  # these replace SIZE, each for one side
# What makes up for the size where all members get equally many parameters.
HIDDEN_DIMS = HIDDEN, ENCODER_HIDDEN = "model.hidden_dim", "model.encoder_hidden_dim"
WITHOUT_EFFECT = ("train.devices", "train.log_every", "train.checkpoint_every")  # fields that change nothing of what is learned and scored
AXIS_FLAGS = {"embedding_dims": SIZE, "seeds": SEED}  # flags of a sweep that are short for --axis=FIELD=VALUES
LENGTH_PENALTY = 0.6  # of a beam, the default of --length_penalty; Wu et al. 2016, section 7, found 0.6 to 0.7 best on their dev set

Unit = Literal["char", "byte", "word", "bpe"]
Kind = Literal["translator", "language_model", "skip_gram"]
TableKind = Literal["learned", "frozen", "onehot"]
TABLES = typing.get_args(TableKind)  # learned, and the baselines, which are shown and never recommended

_PAIRS, _TEXT, _WORD_VECTORS = ("translator",), ("language_model", "skip_gram"), ("skip_gram",)
_LAYERED = ("translator", "language_model")
_WIDEST = 2**20  # columns or units; more than memory holds, and few enough that arithmetic on sizes does not overflow
_MOST = 2**31 - 1  # the largest number that a step counter holds


def _field(
    default: Any,
    doc: str,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    below: float | None = None,
    kinds: tuple[str, ...] = (),
) -> Any:
    """Returns a field with its meaning, its bounds and the ``kinds`` of models that read it; without these all of them do.

    The bounds: ``low <= value <= high`` and ``above < value < below``.
    """
    doc = f"{', '.join(kinds)}: {doc}" if kinds else doc
    bounds = {"low": low, "high": high, "above": above, "below": below}
    return dataclasses.field(default=default, metadata={"doc": doc, "kinds": kinds, **bounds})


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """The text: where it is, and how it is cut into units, splits and batches."""

    name: str | None = _field(None, "named data set, such as cmudict or sigmorphon2020/ice; instead of train, dev and test")
    train: str | None = _field(
        None, "training file: two columns (a.tsv), two aligned files (a.src,a.tgt), or one text (language_model, skip_gram)"
    )
    dev: str | None = _field(None, "validation file, like train; cut from train where not given")
    test: str | None = _field(None, "test file, like train; cut from train where neither dev nor test is given")
    dev_fraction: float = _field(0.05, "share of sources (or of a text) held out for dev where dev is not given, 0 to 1", low=0, below=1)
    test_fraction: float = _field(0.05, "share held out for test where neither dev nor test is given, 0 to 1", low=0, below=1)
    source_unit: Unit = _field("char", "unit of the source", kinds=_PAIRS)
    target_unit: Unit = _field("char", "unit of the target, or of the text (language_model, skip_gram)")
    normalize_nfc: bool = _field(False, "bring all text to Unicode normalization form C first")
    lines: bool = _field(
        False,
        "treat the text as an unordered list of lines, e.g. names: duplicates are dropped, dev and test are split off by line",
        kinds=_TEXT,
    )
    max_length: int = _field(64, "longest source or target kept for training, units", low=1, kinds=_PAIRS)
    min_count: int = _field(1, "how often a unit must occur in the training text to get a row of its own (bpe: a pair to be merged)", low=1)
    bpe_size: int = _field(8000, "symbols of a bpe vocabulary (Sennrich et al. 2016), merges and the 256 bytes together", low=256)
    segment_length: int = _field(
        128,
        "units of a segment: the length of truncated backpropagation (Williams & Peng 1990); skip_gram: of a block, which shares negatives",
        low=1,
        kinds=_TEXT,
    )
    window: int = _field(5, "largest distance of a context, units; each unit draws its own, from 1 to this", low=1, kinds=_WORD_VECTORS)
    subsample: float = _field(
        1e-4,
        "threshold of subsampling frequent units, a share of the text (Mikolov et al. 2013b, section 2.3, in the form that "
        "word2vec computes: sqrt(t / f) + t / f); 0: no subsampling",
        low=0,
        below=1,
        kinds=_WORD_VECTORS,
    )
    analogies: str | None = _field(
        None, "file of analogies that score the table, in the format of questions-words.txt", kinds=_WORD_VECTORS
    )
    similarity: str | None = _field(
        None, "file of word pairs that score the table; each line: word, word, how similar people find them", kinds=_WORD_VECTORS
    )


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The network. Embedding and hidden size are independent everywhere."""

    kind: Kind = _field("translator", "the model that is trained")
    embedding_dim: int = _field(64, "columns of the embedding tables", low=1, high=_WIDEST)
    source_embedding_dim: int | None = _field(None, "columns of the source table; null: embedding_dim", low=1, high=_WIDEST, kinds=_PAIRS)
    target_embedding_dim: int | None = _field(None, "columns of the target table; null: embedding_dim", low=1, high=_WIDEST)
    table: TableKind = _field(
        "learned",
        "learned, or a baseline: frozen (drawn and not trained) or onehot (the identity, as wide as the vocabulary)",
        kinds=_LAYERED,
    )
    pretrained: str | None = _field(
        None,
        "file of vectors (word2vec, GloVe, fastText) that the table starts from: a translator's source table, a language_model's only one",
        kinds=_LAYERED,
    )
    pretrained_frozen_steps: int | None = _field(
        0, "first updates, during which the pretrained table is not trained; null: all", low=0, kinds=_LAYERED
    )
    hidden_dim: int = _field(
        256,
        "units of a recurrent layer; of an encoder's in each direction, unless encoder_hidden_dim says otherwise",
        low=1,
        high=_WIDEST,
        kinds=_LAYERED,
    )
    encoder_hidden_dim: int | None = _field(
        None, "units of an encoder's layer, both directions together; null: hidden_dim in each direction", low=1, high=_WIDEST, kinds=_PAIRS
    )
    encoder_layers: int = _field(1, "recurrent layers of the encoder", low=1, kinds=_PAIRS)
    decoder_layers: int = _field(1, "recurrent layers of the decoder, or of the language model", low=1, kinds=_LAYERED)
    bidirectional: bool = _field(True, "the encoder reads in both directions (Schuster & Paliwal 1997)", kinds=_PAIRS)
    attention: Literal["none", "dot", "general", "additive"] = _field(
        "general", "how the decoder looks at the source: dot, general (Luong et al. 2015) or additive (Bahdanau et al. 2015)", kinds=_PAIRS
    )
    input_feeding: bool = _field(
        False,
        "feed each step's attentional vector into the decoder's first layer at the next step (Luong et al. 2015, section 3.3)",
        kinds=_PAIRS,
    )
    residual: bool = _field(
        False,
        "add a recurrent layer's input to its output, from the second layer on (Wu et al. 2016, section 3.1)",
        kinds=_LAYERED,
    )
    share_embeddings: bool = _field(
        False,
        "one vocabulary and one table for source and target, with tie_output also for the output (Press & Wolf 2017, section 3)",
        kinds=_PAIRS,
    )
    tie_output: bool = _field(
        False,
        "the output layer uses the target table, after a projection of the hidden state to its width, divided by 0.1 sqrt(width) so that "
        "logits begin with variance 1 (Press & Wolf 2017)",
        kinds=_LAYERED,
    )
    cbow: bool = _field(
        False,
        "predict a unit from the mean of its contexts instead of the contexts from the unit (CBOW, Mikolov et al. 2013a)",
        kinds=_WORD_VECTORS,
    )
    negatives: int = _field(5, "negative samples of each pair (Mikolov et al. 2013b, section 2.2)", low=1, kinds=_WORD_VECTORS)
    dropout: float = _field(
        0.0,
        "variational dropout: share of units dropped from the outputs of layers and of attention, the same ones at every time step (Gal & "
        "Ghahramani 2016)",
        low=0,
        below=1,
        kinds=_LAYERED,
    )

    @property
    def encoder_dim(self) -> int:
        """Units of an encoder's layer, both directions together."""
        return self.encoder_hidden_dim or self.hidden_dim * (2 if self.bidirectional else 1)

    @property
    def attention_wants_equal_widths(self) -> bool:
        """Whether attention multiplies the encoder's outputs by the decoder's state as they are."""
        return self.attention == "dot"

    @property
    def attention_compares_vectors(self) -> bool:
        """Whether attention makes a vector for each pair of a source and a target position, and not only a number."""
        return self.attention == "additive"


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """How it is trained, evaluated and kept."""

    seed: int = _field(0, "root of every random draw", low=0, high=_MOST)
    steps: int | None = _field(None, "updates; null where epochs is given", low=1, high=_MOST)
    epochs: int | None = _field(None, "passes over the training data; null where steps is given", low=1, high=_MOST)
    batch_size: int = _field(64, "sequences in a batch (skip_gram: blocks of data.segment_length units), over all devices", 1, _WIDEST)
    learning_rate: float = _field(1e-3, "highest learning rate, of Adam (Kingma & Ba 2015); skip_gram: of plain gradient descent", above=0)
    schedule: Literal["constant", "inverse_sqrt", "cosine", "linear"] = _field(
        "constant",
        "course of the learning rate after the warm-up: cosine (Loshchilov & Hutter 2017) and linear reach 0 right after the last "
        "update; inverse_sqrt: Vaswani et al. 2017, 5.3",
    )
    warmup_steps: int = _field(0, "updates over which the learning rate rises from 0", low=0)
    clip_norm: float | None = _field(1.0, "largest norm of the gradient; null: not clipped (Pascanu et al. 2013)", above=0)
    average_decay: float | None = _field(
        None,
        "decay of an exponential moving average of the parameters, which is then evaluated in their place (Polyak & Juditsky 1992); at "
        "update n it is n / (n + 9) while that is less; null: no average",
        low=0,
        below=1,
        kinds=_LAYERED,
    )
    label_smoothing: float = _field(
        0.0, "probability spread evenly over the vocabulary (Szegedy et al. 2016, section 7)", low=0, below=1, kinds=_LAYERED
    )
    eval_every: int | None = _field(None, "updates between evaluations on dev; null: an epoch", low=1)
    checkpoint_every: int | None = _field(None, "updates between checkpoints; null: as eval_every", low=1)
    log_every: int = _field(50, "updates between lines of metrics.jsonl; the last update always has a line", low=1)
    patience: int | None = _field(
        None, "stop after this many evaluations in a row without improvement (on a tie, a lower loss counts); null: never", low=1
    )
    metric: str | None = _field(
        None,
        "dev metric that chooses checkpoints and sizes, such as bleu; null: word_error_rate for a translator, bits_per_character for a "
        "language_model, loss_nats_per_token for a skip_gram",
    )
    devices: int | None = _field(
        None,
        "devices that share each batch; null: as many as divide it evenly (skip_gram: one), and on a CPU threads for small models of "
        "sequences",
        low=1,
    )

    @property
    def schedule_ends(self) -> bool:
        """Whether the course of the learning rate depends on how many updates there are."""
        return self.schedule in ("cosine", "linear")


@dataclasses.dataclass(frozen=True)
class Config:
    """The whole configuration of a run."""

    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    train: TrainConfig = dataclasses.field(default_factory=TrainConfig)


# Fields that name files of data. (The vectors of model.pretrained are part of the experiment, not of its data.)
FILES = ("data.train", "data.dev", "data.test", "data.analogies", "data.similarity")
# What may change when a run is continued, or its data moved, without making it another experiment.
MAY_CHANGE = ("train.steps", "train.epochs", *WITHOUT_EFFECT, *FILES)
_NOT_IDENTIFYING = ("train.steps", "train.epochs", "train.devices", *FILES)  # of config_sha256, which other programs compare


@dataclasses.dataclass(frozen=True)
class Field:
    """A field of the configuration: its dotted path, type, default and metadata. ``kinds`` are the models that read it; none means all."""

    path: str
    type: Any
    default: Any
    doc: str
    low: float | None
    high: float | None
    above: float | None
    below: float | None
    kinds: tuple[str, ...]

    @property
    def choices(self) -> tuple[str, ...]:
        """The values that it may have, where these are a fixed set of words; else none."""
        return typing.get_args(self.type) if typing.get_origin(self.type) is Literal else ()

    @property
    def value_type(self) -> Any:
        """The type of its values, None aside."""
        return next((part for part in self._parts if part is not type(None)), self.type)

    @property
    def optional(self) -> bool:
        """Whether it may be None."""
        return type(None) in self._parts

    @property
    def _parts(self) -> tuple[Any, ...]:
        return () if self.choices else typing.get_args(self.type)

    def read_by(self, kind: str) -> bool:
        """Returns whether a kind of model reads the field."""
        return not self.kinds or kind in self.kinds


@functools.cache
def fields() -> dict[str, Field]:
    """Returns every field by its dotted path, such as ``model.embedding_dim``."""
    found = {}
    for section in dataclasses.fields(Config):
        owner = typing.get_type_hints(Config)[section.name]
        hints = typing.get_type_hints(owner)
        for field in dataclasses.fields(owner):
            path = f"{section.name}.{field.name}"
            found[path] = Field(path, hints[field.name], field.default, **field.metadata)
    return found


def field_of(path: str, typed: str | None = None) -> Field:
    """Returns the field at ``path``. Raises UserError for an unknown one, naming the flag as ``typed`` and the nearest known path."""
    if path in fields():
        return fields()[path]
    near = nearest(path, fields())
    hint = f"; did you mean {near}?" if near else ""
    raise UserError(f"{typed or path}: there is no field {path!r} in the configuration{hint}")


def get(config: Config, path: str) -> Any:
    """Returns the value at a dotted path."""
    section, name = path.split(".")
    return getattr(getattr(config, section), name)


def replace(config: Config, values: Mapping[str, Any]) -> Config:
    """Returns ``config`` with the values at the dotted paths replaced."""
    for path, value in values.items():
        section, name = path.split(".")
        config = dataclasses.replace(config, **{section: dataclasses.replace(getattr(config, section), **{name: value})})
    return config


def from_dict(values: Mapping[str, Mapping[str, Any]]) -> Config:
    """Builds a configuration from fields by section, as ``dataclasses.asdict`` gives them. Raises UserError for an unknown field."""
    flat = {f"{section}.{name}": value for section, inner in values.items() for name, value in inner.items()}
    for path in flat:
        field_of(path)
    return replace(Config(), flat)


def differences(before: Config, after: Config, ignore: Iterable[str] = ()) -> list[str]:
    """Returns the dotted paths whose values differ, in the order of the configuration."""
    return [path for path in fields() if path not in set(ignore) and get(before, path) != get(after, path)]


def changes(before: Config, after: Config, paths: Iterable[str]) -> str:
    """Says how the values at ``paths`` differ, for a message."""
    return ", ".join(f"{path} ({get(before, path)} -> {get(after, path)})" for path in paths)


def one_line(config: Config) -> str:
    """Says the values that are set and, as null, those that are switched off, for a message."""
    values = {path: get(config, path) for path, field in fields().items() if (get(config, path), field.default) != (None, None)}
    return ", ".join(f"{path}={'null' if value is None else value}" for path, value in values.items())


def setting_of(varied: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what a member of a sweep varies besides size, seed and table: members that share it are compared with each other."""
    return {path: value for path, value in varied.items() if path not in (SIZE, SEED, TABLE)}


def setting_key(values: Mapping[str, Any]) -> str:
    """Returns the same text for the same values of fields, whatever their order."""
    return json.dumps(values, sort_keys=True)


def in_order(value: Any) -> tuple[str, Any]:
    """Returns a key that sorts the values of a field, also where some are null."""
    return str(type(value)), value


def config_sha256(config: Config) -> str:
    """Returns a hash that identifies the experiment: of the configuration without steps, epochs, paths and device count.

    Any other field counts, also the intervals of logging and saving; a new field changes the hash of every configuration.
    """
    return _sha256(_identity(config, _NOT_IDENTIFYING))


def run_sha256(config: Config, data_sha256: Mapping[str, str]) -> str:
    """Returns a hash that identifies a run: of all that may not change while it lasts (``MAY_CHANGE`` may), and of its data."""
    return _sha256({**_identity(config, MAY_CHANGE), "data_sha256": dict(data_sha256)})


def _identity(config: Config, without: Collection[str]) -> dict[str, Any]:
    identity = {path: get(config, path) for path in fields() if path not in without}
    return identity | {"model.pretrained": config.model.pretrained is not None}  # whether there is a file, not where


def _sha256(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
