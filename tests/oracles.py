"""What the code must compute, said once more in NumPy: in float64, one step and one row at a time, with no regard to speed.

Nothing here may import the code it checks. Parameters come as the nested dictionaries of ``initial_params``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    exponents = np.exp(x - np.max(x))
    return exponents / exponents.sum()


def log_softmax(x):
    return np.log(softmax(x))


def lstm_step(x, h, c, kernel):
    """One step from the input's pre-activations x [4 H]."""
    i, f, g, o = np.split(x + h @ kernel, 4)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def lstm(inputs, kernel, hidden, cell, mask=None, reverse=False):
    """Runs over inputs [T, B, 4 H]; returns the hidden state after every step and both states at the end."""
    steps, rows, _ = inputs.shape
    hidden, cell, outputs = np.array(hidden, float), np.array(cell, float), np.zeros((steps, rows, kernel.shape[0]))
    for t in reversed(range(steps)) if reverse else range(steps):
        for b in range(rows):
            if mask is None or mask[t, b]:
                hidden[b], cell[b] = lstm_step(inputs[t, b].astype(float), hidden[b], cell[b], np.asarray(kernel, float))
            outputs[t, b] = hidden[b]
    return outputs, hidden, cell


def attention(kind: str, params: Any, query, values):
    """Returns context [M] and weights [S] of one query [H] over values [S, M], none of them padding."""
    if kind == "dot":
        scores = [query @ value for value in values]
    elif kind == "general":
        scores = [query @ (value @ params["memory_kernel"]) for value in values]
    else:
        mixed = [np.tanh(query @ params["query_kernel"] + value @ params["memory_kernel"]) for value in values]
        scores = [float((one @ params["score_kernel"])[0]) for one in mixed]
    weights = softmax(np.array(scores))
    return weights @ values, weights


def encode(params: Any, source: Any):
    """Runs a bidirectional encoder with residual connections over one source; returns outputs [S, M] and the last state [M]."""
    outputs = np.array([params["source_embedding"]["table"][i] for i in source], float)
    last: list[Any] = []
    layers = params["encoder"]["layers"]
    for number, directions in sorted(layers.items()):
        read, runs, last = outputs, [], []
        for number_of_direction, layer in sorted(directions.items()):
            inputs = (read @ layer["input_kernel"] + layer["bias"])[:, None]
            start = np.zeros((1, layer["recurrent_kernel"].shape[0]))
            hidden, final, _ = lstm(inputs, layer["recurrent_kernel"], start, start, reverse=number_of_direction == 1)
            runs.append(hidden[:, 0])
            last.append(final[0])
        outputs = np.concatenate(runs, axis=-1) + (read if number > 0 else 0)
    return outputs, np.concatenate(last)


def translator_logits(params: Any, kind: str, source: Any, inputs: Any):
    """Runs a translator with attention, input feeding and residual connections over one pair, without padding.

    Returns the logits [T, V] after each of the inputs and the attention weights [T, S].
    """
    values, last = encode(params, source)
    decoder = params["decoder"]
    states = [np.split(last @ bridge, 2) for _, bridge in sorted(decoder["bridges"].items())]
    states = [(np.tanh(hidden), cell) for hidden, cell in states]
    vector, logits, weights = np.zeros_like(states[0][0]), [], []
    for symbol in inputs:
        below = np.asarray(params["target_embedding"]["table"][symbol], float)
        for number, layer in sorted(decoder["stack"]["layers"].items()):
            read = below @ layer["input_kernel"] + layer["bias"]
            if number == 0:
                read = read + vector @ decoder["feed_kernel"]
            states[number] = lstm_step(read, states[number][0], states[number][1], layer["recurrent_kernel"])
            below = states[number][0] + (below if number > 0 else 0)
        context, looked = attention(kind, decoder.get("attention"), below, values)
        vector = np.tanh(np.concatenate([context, below]) @ decoder["combine_kernel"])
        logits.append(vector @ params["output"]["kernel"] + params["output"]["bias"])
        weights.append(looked)
    return np.array(logits), np.array(weights)


def cross_entropy(logits, targets, weights, smoothing):
    """Returns the sums of smoothed and plain cross-entropy, nats, and of the weights."""
    objective = nats = 0.0
    for row, target, weight in zip(logits, targets, weights, strict=True):
        logs = log_softmax(np.asarray(row, float))
        wanted = np.full(len(logs), smoothing / len(logs))
        wanted[target] += 1 - smoothing
        objective -= weight * (wanted @ logs)
        nats -= weight * logs[target]
    return objective, nats, sum(weights)


Model = Callable[[tuple[int, ...]], np.ndarray]  # symbols so far -> log-probabilities of the next


def greedy(model: Model, limit: int, end: int, never: Sequence[int]) -> list[int]:
    """Appends the most probable symbol until the end symbol, which comes at the limit in any case."""
    output: list[int] = []
    while end not in output:
        logs = np.array(model(tuple(output)))
        logs[list(never)] = -np.inf
        output.append(int(np.argmax(logs)) if len(output) < limit - 1 else end)
    return output


def all_outputs(model: Model, limit: int, end: int, symbols: Sequence[int]) -> dict[tuple[int, ...], float]:
    """Returns the log-probability of every output of at most ``limit`` symbols, the last of which is the end symbol."""
    found = {}
    for length in range(1, limit + 1):
        for output in itertools.product(symbols, repeat=length):
            if end in output and output.index(end) == length - 1:
                found[output] = sum(float(model(output[:t])[output[t]]) for t in range(length))
    return found


def restricted(logits, temperature, top_k=None, top_p=None):
    """Returns the probabilities to draw from, by going down the list of the most probable symbols."""
    logits = np.asarray(logits, float) / temperature
    order = sorted(range(len(logits)), key=lambda symbol: (-logits[symbol], symbol))
    kept = order[:top_k]
    if top_p is not None:
        probabilities = softmax(np.array([logits[symbol] for symbol in kept]))
        count, mass = 0, 0.0
        while mass < top_p and count < len(kept):
            mass += probabilities[count]
            count += 1
        kept = kept[: max(count, 1)]
    result = np.zeros(len(logits))
    result[kept] = softmax(np.array([logits[symbol] for symbol in kept]))
    return result


def pip_loss(one, other):
    """Returns the norm of the difference of all inner products of rows of two tables (Yin & Shen 2018, definition 1)."""
    return float(np.linalg.norm(one @ one.T - other @ other.T))
