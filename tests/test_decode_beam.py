"""Greedy decoding, beam search and ensembles, against loops and enumeration in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seq2seq_jax.data.vocabulary import BOS, EOS, PAD
from seq2seq_jax.decode.beam import Hypotheses, beam_search, length_penalty
from seq2seq_jax.decode.greedy import greedy
from seq2seq_jax.decode.translators import begin, ensemble_step, mean_attention, translate_by_beam, translate_greedily
from tests import oracles
from tests.model_fixture import SIZES, Small, ids, normal

V, LIMIT, ROWS = 6, 4, 3
TEXT = [EOS, 3, 4, 5]  # what outputs consist of


class Chain:
    """A toy model whose next symbol depends on the row, the last symbol and the number of symbols before."""

    def __init__(self, seed: int):
        self.logits = 1.5 * normal(ROWS, LIMIT, V, V, seed=seed)

    def step(self, state, ids):
        row, t = state
        return (row, t + 1), self.logits[row, t, ids]

    def start(self):
        return jnp.arange(ROWS), jnp.zeros(ROWS, int)

    def of_row(self, row: int) -> oracles.Model:
        logits = np.asarray(self.logits[row])
        return lambda output: oracles.log_softmax(logits[len(output), output[-1] if output else BOS])


def listed(hypotheses: Hypotheses, row: int) -> list[tuple[int, ...]]:
    """Returns the outputs of a row that exist, up to their EOS."""
    rows = np.asarray(hypotheses.ids[row])[np.isfinite(hypotheses.scores[row])]
    return [tuple(one[: list(one).index(EOS) + 1] if EOS in one else one) for one in rows.tolist()]


def search(chain: Chain, width: int, alpha: float) -> Hypotheses:
    return jax.jit(lambda: beam_search(chain.step, chain.start(), ROWS, width, LIMIT, alpha))()


@pytest.mark.parametrize("seed", range(4))
def test_greedy_equals_a_loop_and_a_beam_of_1(seed):
    chain = Chain(seed)
    found = jax.jit(lambda: greedy(chain.step, chain.start(), ROWS, LIMIT))()
    beam = search(chain, 1, 0.6)
    for row in range(ROWS):
        expected = oracles.greedy(chain.of_row(row), LIMIT, EOS, (PAD, BOS))
        assert found[row].tolist() == expected + [PAD] * (LIMIT - len(expected))
        assert beam.ids[row, 0].tolist() == found[row].tolist()


@pytest.mark.parametrize("alpha", [0.0, 0.6, 2.0])
def test_a_beam_as_wide_as_the_space_finds_every_output_in_order(alpha):
    chain = Chain(0)
    outputs = [oracles.all_outputs(chain.of_row(row), LIMIT, EOS, TEXT) for row in range(ROWS)]
    found = search(chain, len(outputs[0]) + 5, alpha)  # 5 places stay empty
    for row in range(ROWS):
        score = {output: value / ((5 + len(output)) / 6) ** alpha for output, value in outputs[row].items()}
        assert listed(found, row) == sorted(score, key=score.__getitem__, reverse=True)
        np.testing.assert_allclose(found.scores[row, :-5], sorted(score.values(), reverse=True), rtol=1e-5)
        expected = [outputs[row][output] for output in listed(found, row)]
        np.testing.assert_allclose(found.log_probabilities[row, :-5], expected, rtol=1e-5)
    assert np.isneginf(found.scores[:, -5:]).all()


def test_a_narrow_beam_keeps_the_best_of_what_it_has():
    """The same search in NumPy: after each step the best by score, ended ones among them."""
    chain, width, alpha = Chain(1), 3, 0.6
    found = search(chain, width, alpha)
    for row in range(ROWS):
        model, beam = chain.of_row(row), {(): 0.0}
        for t in range(LIMIT):
            longer = {}
            for output, value in beam.items():
                if output and output[-1] == EOS:
                    longer[output] = value
                else:
                    longer.update({(*output, symbol): value + model(output)[symbol] for symbol in (TEXT if t < LIMIT - 1 else [EOS])})
            ranked = sorted(longer, key=lambda output: longer[output] / ((5 + len(output)) / 6) ** alpha, reverse=True)
            beam = {output: longer[output] for output in ranked[:width]}
        assert listed(found, row) == list(beam)
        np.testing.assert_allclose(found.log_probabilities[row], list(beam.values()), rtol=1e-5)


def test_length_penalty_is_that_of_wu():
    np.testing.assert_allclose(length_penalty(jnp.array([1, 7]), 0.5), [1, np.sqrt(2)], rtol=1e-6)
    np.testing.assert_array_equal(length_penalty(jnp.array([1, 7]), 0.0), 1)


def test_an_ensemble_averages_probabilities():
    one, two = Chain(0), Chain(1)
    _, logits = ensemble_step([one.step, two.step])((one.start(), two.start()), jnp.full(ROWS, BOS))
    for row in range(ROWS):
        mean = (np.exp(one.of_row(row)(())) + np.exp(two.of_row(row)(()))) / 2
        np.testing.assert_allclose(np.exp(logits[row]), mean, rtol=1e-5)


SOURCE, LENGTHS = ids(3, 6, SIZES["source"], seed=1), jnp.array([6, 1, 4])


@pytest.mark.parametrize("feeding", [False, True])
def test_translators_decode_what_they_score(feeding):
    """A beam's log-probabilities are the teacher-forced ones of its outputs; a beam of 1 is greedy; a model twice is the model once."""
    model = Small(decoder_layers=2, input_feeding=feeding, attention="general" if feeding else "none", seed=5)
    model.params["output"] = jax.tree.map(lambda leaf: 4 * leaf if leaf.ndim == 2 else 0 * leaf, model.params["output"])  # varied outputs

    def decode(module):
        beam = translate_by_beam([module], SOURCE, LENGTHS, 5, 4, 0.6)
        state, memory = module.encode(SOURCE, LENGTHS)
        forced = []
        for k in range(4):
            inputs = jnp.concatenate([jnp.full((3, 1), BOS), beam.ids[:, k, :-1]], axis=1)
            logs = jax.nn.log_softmax(module.decode(state, memory, inputs), axis=-1)
            picked = jnp.take_along_axis(logs, beam.ids[:, k, :, None], axis=-1)[..., 0]
            forced.append(jnp.sum(jnp.where(beam.ids[:, k] != PAD, picked, 0), axis=1))
        first = translate_by_beam([module], SOURCE, LENGTHS, 5, 1, 0.6).ids[:, 0]
        twice = translate_by_beam([module, module], SOURCE, LENGTHS, 5, 4, 0.6)
        return beam, jnp.stack(forced, axis=1), first, translate_greedily([module], SOURCE, LENGTHS, 5), twice

    beam, forced, first, greedily, twice = model.run(decode)
    np.testing.assert_allclose(beam.log_probabilities, forced, rtol=1e-5)
    assert (np.diff(beam.scores) <= 0).all()
    assert ((np.asarray(beam.ids) == EOS).sum(axis=-1) == 1).all()
    assert len({tuple(output) for output in np.asarray(beam.ids).reshape(-1, 5).tolist()}) > 4
    np.testing.assert_array_equal(first, greedily)
    np.testing.assert_array_equal(twice.ids, beam.ids)
    np.testing.assert_allclose(twice.scores, beam.scores, rtol=1e-5)


def test_different_translators_decode_together():
    """One with attention and one without, of different sizes: the mean of their probabilities, step by step.

    Red if attention is not the mean over those that have one, or if the others count.
    """
    one, two, three = Small(seed=1), Small(seed=2, attention="none", hidden_dim=5, embedding_dim=2), Small(seed=3)

    @jax.jit
    def steps():
        models = [one.merge(), two.merge()]
        step, states = begin(models, SOURCE, LENGTHS, 3)
        states, first = step(states, jnp.full(3, BOS))
        _, second = step(states, SOURCE[:, 0] % 8)
        inputs = jnp.stack([jnp.full(3, BOS), SOURCE[:, 0] % 8], axis=1)
        forced = [model.decode(*model.encode(SOURCE, LENGTHS), inputs) for model in models]
        attention = mean_attention([*models, three.merge()], SOURCE, LENGTHS, SOURCE[:, :2])
        own = [model.merge().attention_weights(SOURCE, LENGTHS, SOURCE[:, :2]) for model in (one, three)]
        return jnp.stack([first, second], axis=1), forced, attention, own, mean_attention(models[1:], SOURCE, LENGTHS, SOURCE)

    logits, forced, attention, own, nothing = steps()
    mean = sum(jax.nn.softmax(of_one, axis=-1) for of_one in forced) / 2
    np.testing.assert_allclose(np.exp(logits), mean, rtol=1e-5)
    np.testing.assert_allclose(attention, (own[0] + own[1]) / 2, rtol=1e-5)
    assert np.abs(own[0] - own[1]).max() > 1e-2
    assert nothing is None
