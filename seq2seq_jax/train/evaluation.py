"""Scoring a split: the loss, and for translators the decoded outputs against their references."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from flax import nnx
from jaxtyping import Float, Int

from seq2seq_jax import config as config_lib
from seq2seq_jax.config import Config
from seq2seq_jax.data.batches import PairBatch, evaluation_batches, text_evaluation_batches
from seq2seq_jax.data.buckets import Shape
from seq2seq_jax.data.corpus import Corpus, PairSplit, TextSplit, encode_pairs
from seq2seq_jax.data.ragged import Ragged
from seq2seq_jax.data.readers import normalize
from seq2seq_jax.data.vocabulary import Vocabulary
from seq2seq_jax.evaluate.metrics import CHEAP, CORPUS, example_scores, text_metrics, translation_metrics
from seq2seq_jax.model.build import Params
from seq2seq_jax.model.language_model import LanguageModel
from seq2seq_jax.train.programs import Programs

DECODE_ROWS = 256  # sources decoded together
TEXT_ROWS = 32  # parts of a text scored together, each after a warm-up of one segment


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What a model makes of a split.

    Attributes:
      metrics: by name; the names end in the unit where there is one.
      outputs: one for each source (translators).
      scores: the metric that chooses, example by example, where it is a sum over examples: amounts and sizes.
    """

    metrics: dict[str, Any]
    outputs: list[str]
    scores: tuple[Float[np.ndarray, "B"], Float[np.ndarray, "B"]] | None


def output_limit(corpus: Corpus) -> int:
    """Returns the longest output that decoding allows, units with the end symbol: a quarter more than training has seen."""
    if isinstance(corpus.train, TextSplit):
        return 0
    return int(corpus.train.targets.lengths.max()) * 5 // 4 + 4


def start_carry(structure: nnx.GraphDef, params: Params, rows: int) -> Any:
    """Returns the state that a model carries into its first batch: none for a translator."""
    model = nnx.merge(structure, params)
    return model.start(rows) if isinstance(model, LanguageModel) else ()


class Evaluator:
    """Scores splits with one set of compiled programs."""

    def __init__(self, config: Config, programs: Programs, vocabularies: Mapping[str, Vocabulary], shapes: Sequence[Shape] = ()):
        """Prepares to score; ``shapes`` are those of training. Every other one serves here: compiling costs more than padding."""
        self._config, self._programs, self._vocabularies = config, programs, vocabularies
        self._shapes = list(shapes)[1::2]
        self._metric = config_lib.metric_of(config)

    def evaluate(self, params: Params, split: PairSplit | TextSplit) -> Evaluation:
        """Scores a split, whole: every source once, or every unit of a text once."""
        if isinstance(split, TextSplit):
            return self._evaluate_text(params, split)
        return self._evaluate_pairs(params, split)

    def translate(self, params: Params, sources: Sequence[str]) -> list[str]:
        """Returns the most probable output of each source, decoded greedily."""
        pending = [
            (indices, self._programs.decode(params, batch.source, batch.source_lengths))
            for indices, batch in self.source_batches(sources, DECODE_ROWS)
        ]
        outputs = [""] * len(sources)
        for indices, ids in pending:
            for index, row in zip(indices, jax.device_get(ids), strict=True):
                if index >= 0:
                    outputs[index] = self._vocabularies["target"].decode(row)
        return outputs

    def source_batches(self, sources: Sequence[str], rows: int) -> Iterator[tuple[Int[np.ndarray, " B"], PairBatch]]:
        """Yields the sources in batches of ``rows``, each row with its index, -1 where it stands for none."""
        encoded = Ragged.of([self._vocabularies["source"].encode(normalize(source, self._config.data.normalize_nfc)) for source in sources])
        nothing = Ragged.of([[] for _ in sources])
        return evaluation_batches(encoded, nothing, rows, sorted({(source, 1) for source, _ in self._shapes}))

    def _evaluate_pairs(self, params: Params, split: PairSplit) -> Evaluation:
        """Scores outputs against all references, and the loss against the first."""
        batches = evaluation_batches(*encode_pairs(split, self._vocabularies), self._config.train.batch_size, self._shapes)
        losses = jax.device_get([self._programs.eval_step(params, (), batch)[0] for _, batch in batches])
        outputs = self.translate(params, split.sources)
        unit, name = self._config.data.target_unit, self._metric.name
        names = [*CHEAP, name] if name in CORPUS else list(CHEAP)
        metrics = translation_metrics(outputs, split.targets, unit, names)
        metrics["loss_nats_per_token"] = float(sum(loss.nats for loss in losses) / sum(loss.count for loss in losses))
        scores = tuple(example_scores(outputs, split.targets, name, unit)) if name in CHEAP else None
        return Evaluation(metrics, outputs, scores)

    def _evaluate_text(self, params: Params, split: TextSplit) -> Evaluation:
        rows = min(TEXT_ROWS, max(1, len(split.ids) // self._config.data.segment_length))
        carry = start_carry(self._programs.structure, params, rows)
        losses = []
        for batch in text_evaluation_batches(split.ids, rows, self._config.data.segment_length):
            loss, carry = self._programs.eval_step(params, carry, batch)
            losses.append(loss)
        nats = float(sum(np.float64(loss.nats) for loss in jax.device_get(losses)))
        return Evaluation(text_metrics(nats, len(split.ids), len(split.text)), [], None)
