"""Scoring a split: the loss, for translators decoded outputs against their references, for word vectors analogies and similarity."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int

from seq2seq_jax import config as config_lib
from seq2seq_jax.config import Config
from seq2seq_jax.data.batches import PairBatch, evaluation_batches, text_evaluation_batches
from seq2seq_jax.data.buckets import Shape
from seq2seq_jax.data.corpus import Corpus, PairSplit, TextSplit, encode_pairs, window_batches
from seq2seq_jax.data.ragged import Ragged
from seq2seq_jax.data.readers import normalize
from seq2seq_jax.data.vocabulary import Vocabulary
from seq2seq_jax.data.windows import EVALUATION_SEED
from seq2seq_jax.evaluate.metrics import PER_EXAMPLE, example_scores, metric_names, text_metrics, translation_metrics
from seq2seq_jax.evaluate.word_vectors import analogy_hits, similarity_correlation
from seq2seq_jax.model.build import Params
from seq2seq_jax.model.loss import Loss
from seq2seq_jax.model.skip_gram import VECTORS
from seq2seq_jax.train.programs import Programs

DECODE_ROWS = 256  # sources decoded together
TEXT_ROWS = 32  # most parts of a text that are scored together
TEXT_PART = 1024  # units of the shortest of them: a text that has no two of these is scored whole, from its beginning
TEXT_SEGMENT = 64  # units of each part in a batch, however long training's segments are
TEXT_WARM_UP = 4  # such segments read before a part, so that a score hardly knows of the cuts
FEWEST_BLOCKS = 10  # batches below which resampling them would understate what another text gives


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What a model makes of a split.

    Attributes:
      metrics: by name; the names end in the unit where there is one.
      outputs: one for each source (translators).
      scores: the metric that chooses, example by example, where it is a sum over examples: amounts and sizes. An example of a loss is a
        batch, since it is summed over batches.
      decoded_per_second: sources decoded in a second, greedily; None where nothing is, or where it had to be compiled first.
    """

    metrics: dict[str, Any]
    outputs: list[str]
    scores: tuple[Float[np.ndarray, " B"], Float[np.ndarray, " B"]] | None
    decoded_per_second: float | None = None

    @property
    def complete(self) -> bool:
        """Whether scoring again would tell nothing more: the speed of decoding too is known, where something is decoded."""
        return not self.outputs or self.decoded_per_second is not None


def output_limit(corpus: Corpus) -> int:
    """Returns the longest output that decoding allows, units with the end symbol: a quarter more than training has seen."""
    if isinstance(corpus.train, TextSplit):
        return 0
    return int(corpus.train.targets.lengths.max()) * 5 // 4 + 4


class Evaluator:
    """Scores splits with one set of compiled programs."""

    def __init__(self, config: Config, programs: Programs, vocabularies: Mapping[str, Vocabulary], shapes: Sequence[Shape] = ()):
        """Prepares to score in every second of training's ``shapes``, from the largest: compiling costs more than padding."""
        self._config, self._programs, self._vocabularies = config, programs, vocabularies
        self._shapes = list(shapes)[::-2]
        self._metric = config_lib.metric_of(config)
        self._decoded_shapes: set[tuple[int, ...]] = set()

    def evaluate(self, params: Params, split: PairSplit | TextSplit) -> Evaluation:
        """Scores a split, whole: every source once, or every unit of a text once."""
        return self.evaluate_members(params, split, lambda measured: [jax.device_get(measured)], 1)[0]

    def evaluate_members(
        self, params: Params, split: PairSplit | TextSplit, unstack: Callable[[Any], Sequence[Any]], stacked: int
    ) -> list[Evaluation]:
        """Scores a split with several parameters at once.

        Args:
          params: as the programs take them, which are then of several members.
          split: the split.
          unstack: brings what these programs return to the host, one pytree for each member that is asked for.
          stacked: members that the programs work on, asked for or not.
        """
        if isinstance(split, TextSplit) and self._config.model.kind == "skip_gram":
            measured = (self._window_losses(params, split), params[VECTORS]["table"])
            return [self._score_vectors(split, *own) for own in unstack(measured)]
        if isinstance(split, TextSplit):
            return [self._score_text(split, losses) for losses in unstack(self._text_losses(params, split))]
        losses = jax.block_until_ready(self._pair_losses(params, split))  # so that the clock sees decoding alone
        compiled, since = set(self._decoded_shapes), time.monotonic()
        indices, ids = jax.block_until_ready(self._decoded(params, split.sources))
        seconds = time.monotonic() - since
        members = unstack((losses, ids))
        speed = stacked * len(split.sources) / seconds if compiled == self._decoded_shapes else None
        return [
            dataclasses.replace(self._score_pairs(split, own, self._texts(split.sources, indices, of_own)), decoded_per_second=speed)
            for own, of_own in members
        ]

    def translate(self, params: Params, sources: Sequence[str]) -> list[str]:
        """Returns the most probable output of each source, decoded greedily; nothing for an empty one."""
        indices, ids = self._decoded(params, sources)
        return self._texts(sources, indices, jax.device_get(ids))

    def source_batches(self, sources: Sequence[str], rows: int) -> Iterator[tuple[Int[np.ndarray, " B"], PairBatch]]:
        """Yields the sources in batches of ``rows``, each row with its index, -1 where it stands for none."""
        encoded = Ragged.of([self._vocabularies["source"].encode(normalize(source, self._config.data.normalize_nfc)) for source in sources])
        nothing = Ragged.of([[] for _ in sources])
        return evaluation_batches(encoded, nothing, rows, sorted({(source, 1) for source, _ in self._shapes}))

    def _decoded(self, params, sources):
        """Returns, batch by batch, the index of each row's source and, still on the device, the ids of its output."""
        pending = []
        for indices, batch in self.source_batches(sources, DECODE_ROWS):
            self._decoded_shapes.add(batch.source.shape)
            pending.append((indices, self._programs.decode(params, batch.source, batch.source_lengths)))
        return [indices for indices, _ in pending], [ids for _, ids in pending]

    def _texts(self, sources: Sequence[str], indices, ids) -> list[str]:
        """Returns the output of each source; an empty one has nothing to translate, whatever the model makes of it."""
        texts, decode = {}, self._vocabularies["target"].decode_line
        for of_batch, rows in zip(indices, ids, strict=True):
            texts.update((index, decode(row)) for index, row in zip(of_batch, rows, strict=True) if index >= 0)
        return [texts[index] if source else "" for index, source in enumerate(sources)]

    def _pair_losses(self, params: Params, split: PairSplit) -> list[Loss]:
        batches = evaluation_batches(*encode_pairs(split, self._vocabularies), self._config.train.batch_size, self._shapes)
        return [self._programs.eval_step(params, (), batch)[0] for _, batch in batches]

    def _score_pairs(self, split: PairSplit, losses: Sequence[Loss], outputs: list[str]) -> Evaluation:
        """Scores outputs against all references, and the loss against the first."""
        unit, name = self._config.data.target_unit, self._metric.name
        metrics = translation_metrics(outputs, split.targets, unit, metric_names(name))
        nats, units = _by_batch(losses)
        metrics["loss_nats_per_token"] = float(nats.sum() / units.sum())
        if name in PER_EXAMPLE:
            return Evaluation(metrics, outputs, tuple(example_scores(outputs, split.targets, name, unit)))
        return Evaluation(metrics, outputs, _several(nats, units) if name == "loss_nats_per_token" else None)

    def _text_losses(self, params: Params, split: TextSplit) -> list[Loss]:
        rows = min(TEXT_ROWS, max(1, len(split.ids) // TEXT_PART))
        carry = self._programs.start(params, rows)
        losses = []
        for batch in text_evaluation_batches(split.ids, rows, TEXT_SEGMENT, TEXT_WARM_UP):
            loss, carry = self._programs.eval_step(params, carry, batch)
            losses.append(loss)
        return losses

    def _score_text(self, split: TextSplit, losses: Sequence[Loss]) -> Evaluation:
        nats, units = _by_batch(losses)
        metrics = text_metrics(float(nats.sum()), len(split.ids), len(split.text))
        if self._metric.name == "bits_per_character":  # of a batch's characters the share that its units have of all
            return Evaluation(metrics, [], _several(nats / math.log(2), units * (len(split.text) / max(1, len(split.ids)))))
        return Evaluation(metrics, [], _several(nats, units))

    def _window_losses(self, params: Params, split: TextSplit) -> list[Loss]:
        """Scores the text as training reads it, thinned out, with windows and negatives that are always the same."""
        batches = window_batches(self._config, split.ids, self._vocabularies["target"])
        steps = range(batches.steps_per_epoch)
        return [self._programs.eval_step(params, (), batches.batch_at(EVALUATION_SEED, step))[0] for step in steps]

    def _score_vectors(self, split: TextSplit, losses: Sequence[Loss], table: Float[np.ndarray, "V D"]) -> Evaluation:
        """Scores the loss and, where the split is asked something, analogies and similarity.

        ``examples`` counts what the metric that chooses rests on: questions, pairs of words, or units of text.
        """
        nats, units = _by_batch(losses)
        count = float(units.sum())
        metrics: dict[str, Any] = {"loss_nats_per_token": float(nats.sum()) / max(1.0, count), "examples": int(count)}
        by_batch = _several(nats, units) if self._metric.name == "loss_nats_per_token" else None
        asked, hits = split.questions, {}
        if asked is None:
            return Evaluation(metrics, [], by_batch)
        if len(asked.analogies):
            right = analogy_hits(table, asked.analogies).astype(np.float64)
            groups = {"": np.ones(len(right), bool), "semantic_": ~asked.syntactic, "syntactic_": asked.syntactic}
            hits = {f"{name}analogy_accuracy": right[group] for name, group in groups.items() if group.any()}
            metrics |= {name: float(of_group.mean()) for name, of_group in hits.items()}
            metrics["analogy_questions"] = len(right)
        if len(asked.pairs):
            metrics["word_similarity"] = similarity_correlation(table, asked.pairs, asked.similarity)
            metrics["word_similarity_pairs"] = len(asked.pairs)
        if self._metric.name == "word_similarity":
            return Evaluation({**metrics, "examples": len(asked.pairs)}, [], None)
        chosen_by = hits.get(self._metric.name)
        if chosen_by is None:
            return Evaluation(metrics, [], by_batch)
        return Evaluation({**metrics, "examples": len(chosen_by)}, [], (chosen_by, np.ones(len(chosen_by))))


def _by_batch(losses: Sequence[Loss]) -> tuple[Float[np.ndarray, " B"], Float[np.ndarray, " B"]]:
    """Returns the nats and the scored units of each batch that scores some: a warm-up does not."""
    sums = np.array([(loss.nats, loss.count) for loss in losses], np.float64).reshape(-1, 2)
    nats, units = sums[sums[:, 1] > 0].T
    return nats, units


def _several(
    amounts: Float[np.ndarray, " B"], sizes: Float[np.ndarray, " B"]
) -> tuple[Float[np.ndarray, " B"], Float[np.ndarray, " B"]] | None:
    """Returns the scores of batches where there are enough to say something of what another text would give."""
    return (amounts, sizes) if len(amounts) >= FEWEST_BLOCKS else None
