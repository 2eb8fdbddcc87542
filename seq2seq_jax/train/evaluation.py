"""Scoring a split: the loss, for translators decoded outputs against their references, for word vectors analogies and similarity.

There is an evaluator for each kind of model (``make_evaluator``). It works in two steps, ``measure`` on the devices and ``score`` on the
host; a sweep that trains its members together measures them together and scores each by itself (``sweep/stacked.py``).
"""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import functools
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from seq2seq_jax.arrays import Array
from seq2seq_jax.config import Config
from seq2seq_jax.data.batches import PairBatch, empty_batch, evaluation_batches, text_evaluation_batches
from seq2seq_jax.data.buckets import Shape
from seq2seq_jax.data.corpus import Corpus, encode_pairs
from seq2seq_jax.data.examples import PairSplit, TextSplit
from seq2seq_jax.data.ragged import Ragged
from seq2seq_jax.data.readers import normalize
from seq2seq_jax.data.vocabulary import EOS, Vocabulary
from seq2seq_jax.data.windows import EVALUATION_SEED, window_batches
from seq2seq_jax.data.word_questions import WordQuestions
from seq2seq_jax.evaluate.metrics import PER_EXAMPLE, ExampleScores, example_scores, metric_names, text_metrics, translation_metrics
from seq2seq_jax.evaluate.word_vectors import analogy_hits, similarity_correlation
from seq2seq_jax.kinds import LOSS, metric_of
from seq2seq_jax.model.build import Params
from seq2seq_jax.model.loss import Loss
from seq2seq_jax.model.skip_gram import VECTORS
from seq2seq_jax.train.devices import EvaluationThreads
from seq2seq_jax.train.programs import Scoring

DECODE_ROWS = 256  # sources decoded together
TEXT_ROWS = 32  # most parts of a text that are scored together
TEXT_PART = 1024  # least units per part; a text shorter than two parts is scored as one sequence
TEXT_SEGMENT = 64  # units of each part in a batch, however long training's segments are
TEXT_WARM_UP = 4  # such segments read before each part, so that where the text is cut hardly changes its score
FEWEST_BLOCKS = 10  # with fewer batches, resampling them would understate how scores vary from text to text


Watch = Callable[[str], None]  # is told how far scoring has come, batch by batch; what it raises ends the scoring


def unwatched(how_far: str) -> None:
    """Ignores the progress: the watch of whoever does not show it."""
    del how_far


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What a model makes of a split.

    Attributes:
      metrics: by name; the names end in the unit where there is one.
      outputs: one for each source (translators).
      scores: the metric that chooses, example by example, where it is a sum over examples. An example of a loss is a batch, since it is
        summed over batches.
      decoded_per_second: sources decoded in a second, greedily; None where nothing is decoded, or decoding had to be compiled first.
    """

    metrics: dict[str, Any]
    outputs: list[str]
    scores: ExampleScores | None
    decoded_per_second: float | None = None

    @property
    def complete(self) -> bool:
        """Whether nothing is left to measure: where outputs were decoded, the speed of decoding is known too."""
        return not self.outputs or self.decoded_per_second is not None


def output_limit(corpus: Corpus) -> int:
    """Returns the longest output that decoding allows, units with the end symbol: a quarter more than training has seen."""
    if isinstance(corpus.train, TextSplit):
        return 0
    return int(corpus.train.targets.lengths.max()) * 5 // 4 + 4


class Measured(NamedTuple):
    """What the devices make of a split.

    Attributes:
      values: the arrays that ``score`` reads; of members measured together, stacked along an axis in front.
      sources: for each batch that was decoded, the index of every row's source, -1 for a row without one.
      decoded_per_second: as in ``Evaluation``; of members measured together, by each of them.
    """

    values: Any
    sources: Sequence[Int[np.ndarray, " _"]] = ()
    decoded_per_second: float | None = None


class Evaluator(abc.ABC):
    """Scores splits with one set of compiled programs, whole: every source once, or every unit of a text once."""

    def __init__(self, config: Config, scoring: Scoring, vocabularies: Mapping[str, Vocabulary]):
        """Takes what all splits are scored with."""
        self._config, self._scoring, self._vocabularies = config, scoring, vocabularies
        self._metric = metric_of(config).name

    def evaluate(self, params: Params, split: Any, watch: Watch = unwatched) -> Evaluation:
        """Scores a split."""
        measured = self.measure(params, split, watch)
        return self.score(split, measured._replace(values=jax.device_get(measured.values)))

    @abc.abstractmethod
    def measure(self, params: Params, split: Any, watch: Watch = unwatched) -> Measured:
        """Does the work of the devices, for one model or, where the programs take their ``params`` stacked, for all members at once."""

    @abc.abstractmethod
    def score(self, split: Any, measured: Measured) -> Evaluation:
        """Does the work of the host, for one model: ``measured`` has its values, on the host."""


def make_evaluator(
    config: Config, scoring: Scoring, vocabularies: Mapping[str, Vocabulary], shapes: Sequence[Shape], members: int = 1
) -> Evaluator:
    """Returns the evaluator of the configuration's kind of model.

    Args:
      config: of the run, or of any of the members.
      scoring: the programs.
      vocabularies: by side.
      shapes: of training's batches.
      members: how many the programs compute at once.
    """
    if config.model.kind == "translator":
        return TranslatorEvaluator(config, scoring, vocabularies, shapes, members)
    kind = WordVectorEvaluator if config.model.kind == "skip_gram" else LanguageModelEvaluator
    return kind(config, scoring, vocabularies)


class TranslatorEvaluator(Evaluator):
    """Decodes every source greedily and compares the outputs with all references; the loss is that of the first reference."""

    def __init__(self, config: Config, scoring: Scoring, vocabularies: Mapping[str, Vocabulary], shapes: Sequence[Shape], members: int = 1):
        """Prepares to score in every second of training's ``shapes``, from the largest: compiling costs more than padding."""
        super().__init__(config, scoring, vocabularies)
        self._shapes = list(shapes)[::-2]
        self._threads = EvaluationThreads(config, len(vocabularies["target"]), shapes, members)
        self._decoded_shapes: set[tuple[int, ...]] = set()

    def measure(self, params: Params, split: PairSplit, watch: Watch = unwatched) -> Measured:
        """Sums the loss of each batch and decodes the sources."""
        folded = self._scoring.fold(params)
        losses = jax.block_until_ready(self._losses(folded, split, watch))  # so that the clock sees decoding alone
        compiled, since = set(self._decoded_shapes), time.monotonic()
        sources, ids = jax.block_until_ready(self._decode(folded, split.sources, watch))
        seconds = time.monotonic() - since
        speed = len(split.sources) / seconds if compiled == self._decoded_shapes else None
        return Measured((losses, ids), sources, speed)

    def score(self, split: PairSplit, measured: Measured) -> Evaluation:
        """Computes the metrics of the outputs and of the loss."""
        losses, ids = measured.values
        outputs, unit = self._texts(split.sources, measured.sources, ids), self._config.data.target_unit
        metrics = translation_metrics(outputs, split.targets, unit, metric_names(self._metric))
        nats, units = _by_batch(losses)
        metrics[LOSS] = float(nats.sum() / units.sum())
        scores = None
        if self._metric in PER_EXAMPLE:
            scores = example_scores(outputs, split.targets, self._metric, unit)
        elif self._metric == LOSS:
            scores = _enough(nats, units)
        return Evaluation(metrics, outputs, scores, measured.decoded_per_second)

    def translate(self, params: Params, sources: Sequence[str]) -> list[str]:
        """Returns the most probable output of each source, decoded greedily; nothing for an empty one."""
        indices, ids = self._decode(self._scoring.fold(params), sources)
        return self._texts(sources, indices, jax.device_get(ids))

    def output_ids(self, params: Params, source: str) -> list[int]:
        """Returns the ids of what ``translate`` makes of a source, without the end symbol."""
        indices, ids = self._decode(self._scoring.fold(params), [source])
        rows = [row for of_batch, outputs in zip(indices, ids, strict=True) for row in np.asarray(outputs)[of_batch == 0].tolist()]
        return [] if not rows else rows[0][: rows[0].index(EOS)]

    def calls(self, params: Params) -> list[Callable[[], object]]:
        """Returns calls of the programs that scoring has for training's own shapes, on batches without content."""
        folded, rows = self._scoring.fold(params), self._config.train.batch_size
        losses = [functools.partial(self._scoring.eval_step, folded, (), empty_batch(rows, shape)) for shape in self._shapes]
        empty = [empty_batch(DECODE_ROWS, (source, 1)) for source in sorted({source for source, _ in self._shapes})]
        return [*losses, *(functools.partial(self._scoring.decode, folded, batch.source, batch.source_lengths) for batch in empty)]

    def source_batches(self, sources: Sequence[str], rows: int) -> Iterator[tuple[Int[np.ndarray, " B"], PairBatch]]:
        """Yields the sources that have units in batches of ``rows``, each row with the index of its source, -1 where it stands for none."""
        encoded = self._vocabularies["source"].encode_all([normalize(source, self._config.data.normalize_nfc) for source in sources])
        filled = np.flatnonzero(encoded.lengths)
        nothing = Ragged.of([[] for _ in filled])
        shapes = sorted({(source, 1) for source, _ in self._shapes})
        for indices, batch in evaluation_batches(encoded.take(filled), nothing, rows, shapes):
            yield np.where(indices >= 0, filled[indices], -1), batch

    def _losses(self, folded: Params, split: PairSplit, watch: Watch) -> list[Loss]:
        def loss(batch: PairBatch) -> Loss:
            return self._scoring.eval_step(folded, (), batch)[0]

        batches = evaluation_batches(*encode_pairs(split, self._vocabularies), self._config.train.batch_size, self._shapes)
        return self._by_row(loss, batches, _Course(watch, "read", len(split.sources)))[1]

    def _decode(
        self, folded: Params, sources: Sequence[str], watch: Watch = unwatched
    ) -> tuple[list[Int[np.ndarray, " _"]], list[Int[Array, "... _ _"]]]:
        """Returns, batch by batch, the index of each row's source and, still on the device, the ids of its output."""

        def decode(batch: PairBatch) -> Int[Array, "... _ _"]:
            self._decoded_shapes.add(batch.source.shape)
            return self._scoring.decode(folded, batch.source, batch.source_lengths)

        return self._by_row(decode, self.source_batches(sources, DECODE_ROWS), _Course(watch, "decoded", len(sources)))

    def _by_row(
        self, call: Callable[[PairBatch], Any], batches: Iterable[tuple[Int[np.ndarray, " _"], PairBatch]], course: _Course
    ) -> tuple[list[Int[np.ndarray, " _"]], list[Any]]:
        """Returns, batch by batch, the index of each row's example, -1 for none, and what ``call`` makes of the batch."""
        indices, results = [], []
        with contextlib.closing(self._threads.map(lambda given: (given[0], call(given[1])), batches)) as computed:
            for of_batch, result in computed:
                course.begun(result, int((of_batch >= 0).sum()))
                indices.append(of_batch)
                results.append(result)
        return indices, results

    def _texts(self, sources: Sequence[str], indices: Sequence[Int[np.ndarray, " _"]], ids: Sequence[Int[np.ndarray, "_ _"]]) -> list[str]:
        """Returns the output of each source; nothing for one without units."""
        texts, decode = {}, self._vocabularies["target"].decode_line
        for of_batch, rows in zip(indices, ids, strict=True):
            texts.update((index, decode(row)) for index, row in zip(of_batch, rows, strict=True) if index >= 0)
        return [texts.get(index, "") for index in range(len(sources))]


class LanguageModelEvaluator(Evaluator):
    """Reads the text in up to ``TEXT_ROWS`` parts at once, each after the end of the one before it."""

    def measure(self, params: Params, split: TextSplit, watch: Watch = unwatched) -> Measured:
        """Sums the loss of each batch."""
        course = _Course(watch, "read", len(split.ids))
        rows = min(TEXT_ROWS, max(1, len(split.ids) // TEXT_PART))
        folded = self._scoring.fold(params)
        carry = self._scoring.start(folded, rows)
        losses = []
        for batch in text_evaluation_batches(split.ids, rows, TEXT_SEGMENT, TEXT_WARM_UP):
            loss, carry = self._scoring.eval_step(folded, carry, batch)
            course.begun(loss, rows * TEXT_SEGMENT)
            losses.append(loss)
        return Measured(losses)

    def score(self, split: TextSplit, measured: Measured) -> Evaluation:
        """Computes the metrics of the loss."""
        nats, units = _by_batch(measured.values)
        metrics = text_metrics(float(nats.sum()), len(split.ids), len(split.text))
        if self._metric == "bits_per_character":  # of a batch's characters the share that its units have of all
            return Evaluation(metrics, [], _enough(nats / math.log(2), units * (len(split.text) / max(1, len(split.ids)))))
        return Evaluation(metrics, [], _enough(nats, units))


class WordVectorEvaluator(Evaluator):
    """Scores the text as training reads it, thinned out, with windows and negatives that are always the same; then asks the table."""

    def measure(self, params: Params, split: TextSplit, watch: Watch = unwatched) -> Measured:
        """Sums the loss of each batch, and adds the table of vectors."""
        batches = window_batches(self._config, split.ids, self._vocabularies["target"])
        course = _Course(watch, "batches read", batches.steps_per_epoch)
        losses = []
        for step in range(batches.steps_per_epoch):
            loss, _ = self._scoring.eval_step(params, (), batches.batch_at(EVALUATION_SEED, step))
            course.begun(loss, 1)
            losses.append(loss)
        return Measured((losses, params[VECTORS]["table"]))

    def score(self, split: TextSplit, measured: Measured) -> Evaluation:
        """Computes the loss and, where the split has questions, analogies and similarity.

        ``examples`` counts what the metric that chooses rests on: questions, pairs of words, or units of text.
        """
        losses, table = measured.values
        nats, units = _by_batch(losses)
        count = float(units.sum())
        metrics: dict[str, Any] = {LOSS: float(nats.sum()) / max(1.0, count), "examples": int(count)}
        scores = {LOSS: _enough(nats, units)}
        asked = split.questions
        if asked is not None and len(asked.analogies):
            hits = _hits_by_metric(table, asked)
            metrics |= {name: float(of_group.mean()) for name, of_group in hits.items()}
            metrics["analogy_questions"] = len(asked.analogies)
            scores |= {name: ExampleScores(of_group, np.ones(len(of_group))) for name, of_group in hits.items()}
            metrics["examples"] = len(hits[self._metric]) if self._metric in hits else metrics["examples"]
        if asked is not None and len(asked.pairs):
            metrics["word_similarity"] = similarity_correlation(table, asked.pairs, asked.similarity)
            metrics["word_similarity_pairs"] = len(asked.pairs)
            metrics["examples"] = len(asked.pairs) if self._metric == "word_similarity" else metrics["examples"]
        return Evaluation(metrics, [], scores.get(self._metric))


class _Course:
    """Tells how far the devices are with a split, which they read batch by batch."""

    def __init__(self, watch: Watch, what: str, total: int):
        """Begins with nothing of ``total`` done; ``what`` is said of what is, such as ``decoded``."""
        self._watch, self._what, self._total = watch, what, total
        self._done, self._newest, self._size = 0, (), 0

    def begun(self, result: Any, size: int) -> None:
        """Tells what is done once the batch before this one is: meanwhile the devices have this one to go on with."""
        jax.block_until_ready(self._newest)
        self._done = min(self._total, self._done + self._size)
        self._newest, self._size = result, size
        self._watch(f"{self._done:,} of {self._total:,} {self._what}")


def _hits_by_metric(table: Float[np.ndarray, "V D"], asked: WordQuestions) -> dict[str, Float[np.ndarray, " _"]]:
    """Returns for each metric of analogies that has a question 1 where one of its questions is answered right, else 0."""
    right = analogy_hits(table, asked.analogies).astype(np.float64)
    groups = {"": np.ones(len(right), bool), "semantic_": ~asked.syntactic, "syntactic_": asked.syntactic}
    return {f"{name}analogy_accuracy": right[group] for name, group in groups.items() if group.any()}


def _by_batch(losses: Sequence[Loss]) -> tuple[Float[np.ndarray, " batches"], Float[np.ndarray, " batches"]]:
    """Returns the nats and the scored units of each batch that scores some: a warm-up does not."""
    sums = np.array([(loss.nats, loss.count) for loss in losses], np.float64).reshape(-1, 2)
    nats, units = sums[sums[:, 1] > 0].T
    return nats, units


def _enough(amounts: Float[np.ndarray, " batches"], sizes: Float[np.ndarray, " batches"]) -> ExampleScores | None:
    """Returns the scores of batches where there are enough of them to tell how scores vary from text to text, else None."""
    return ExampleScores(amounts, sizes) if len(amounts) >= FEWEST_BLOCKS else None
