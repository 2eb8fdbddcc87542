"""The language model's training step against the same model made of PyTorch's modules.

``lstm_step`` has both sides in float32. In ``lstm_step_bf16`` PyTorch's side multiplies in bfloat16, by autocast, which on processors
that have instructions for it nearly doubles its speed; ours stays as it is, since it has no faster way (docs/performance.md).

Where JAX computes on a GPU, PyTorch does too, by cuDNN's LSTM, and the shapes are larger ones. (No GPU was at hand to try it.)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import jax
import numpy as np
import torch

from benchmarks import ours, timing
from benchmarks.own_process import OwnProcess
from seq2seq_jax.data.batches import TextBatch
from seq2seq_jax.model.build import Params


class Shape(NamedTuple):
    """Sizes of a model and its batch: vocabulary, embedding, hidden units, layers, rows, steps."""

    v: int
    d: int
    h: int
    layers: int
    b: int
    t: int

    def __str__(self) -> str:
        return f"V{self.v}_D{self.d}_H{self.h}_L{self.layers}_B{self.b}_T{self.t}"


SHAPES = (
    Shape(65, 64, 512, 1, 64, 128),
    Shape(65, 32, 256, 1, 64, 64),
    Shape(65, 64, 128, 1, 32, 64),
    Shape(5000, 256, 512, 2, 64, 32),
)
GPU_SHAPES = (SHAPES[0], Shape(65, 64, 1024, 1, 64, 128))
AGREEMENT = {torch.float32: 2e-4, torch.bfloat16: 2e-2}  # largest relative difference of the losses of the first updates, by type
NAMES = {torch.float32: "lstm_step", torch.bfloat16: "lstm_step_bf16"}
UPDATES = 4


def device() -> str:
    """Returns where PyTorch's side computes: where ours does. Ends the program where it cannot."""
    if jax.default_backend() != "gpu":
        return "cpu"
    if not torch.cuda.is_available():
        raise SystemExit("make bench: JAX computes on a GPU and this PyTorch does not; install one for CUDA into .venv-bench")
    return "cuda"


def multiply_alike(device: str) -> None:
    """Lets PyTorch multiply in TF32 on a GPU, as XLA and cuDNN's LSTM do; in the process that computes."""
    if device == "cuda":
        torch.set_float32_matmul_precision("high")


class LanguageModel(torch.nn.Module):
    """Embedding, ``torch.nn.LSTM`` and a linear output, with the parameters of ours."""

    def __init__(self, shape: Shape, params: Params):
        super().__init__()
        self.embedding = torch.nn.Embedding(shape.v, shape.d)
        self.lstm = torch.nn.LSTM(shape.d, shape.h, shape.layers)
        self.output = torch.nn.Linear(shape.h, shape.v)
        with torch.no_grad():
            self.embedding.weight.copy_(tensor(params["target_embedding"]["table"]))
            for layer in range(shape.layers):
                copy_lstm(self.lstm, f"l{layer}", params["stack"]["layers"][layer])
            self.output.weight.copy_(tensor(params["output"]["kernel"]).T)
            self.output.bias.copy_(tensor(params["output"]["bias"]))

    def forward(
        self, ids: torch.Tensor, state: tuple[torch.Tensor, torch.Tensor]
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """Returns logits, time first, and the state after the segment."""
        hidden, state = self.lstm(self.embedding(ids), state)
        return self.output(hidden), state


def tensor(values: np.ndarray) -> torch.Tensor:
    """Returns an array of the host as a tensor of its own."""
    return torch.from_numpy(np.array(values))


def copy_lstm(module: torch.nn.LSTM, suffix: str, layer: Params) -> None:
    """Copies one of our layers, whose gates have the same order.

    PyTorch has two biases that are always added up. The second stays at zero, so that both sides learn the same function.
    """
    getattr(module, f"weight_ih_{suffix}").copy_(tensor(layer["input_kernel"]).T)
    getattr(module, f"weight_hh_{suffix}").copy_(tensor(layer["recurrent_kernel"]).T)
    getattr(module, f"bias_ih_{suffix}").copy_(tensor(layer["bias"]))
    getattr(module, f"bias_hh_{suffix}").zero_().requires_grad_(False)


class Optimizer:
    """Clipping and fused Adam."""

    def __init__(self, model: torch.nn.Module):
        self._learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._adam = torch.optim.Adam(self._learned, lr=ours.LEARNING_RATE, fused=True)

    def update(self, loss: torch.Tensor) -> None:
        """Makes one update."""
        self._adam.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._learned, ours.CLIP_NORM)
        self._adam.step()


class Training:
    """The model in training: each call makes one update."""

    def __init__(self, shape: Shape, params: Params, batch: TextBatch, dtype: torch.dtype, device: str):
        multiply_alike(device)
        self._autocast = torch.autocast(device, dtype, enabled=dtype != torch.float32)
        self._model = LanguageModel(shape, params).to(device)
        self._optimizer = Optimizer(self._model)
        self._inputs, self._targets = (tensor(ids.T).long().to(device) for ids in (batch.inputs, batch.targets))
        zeros = torch.zeros(shape.layers, shape.b, shape.h, device=device)
        self._state = (zeros, zeros.clone())

    def __call__(self) -> float:
        """Makes one update and returns the loss before it, nats a unit."""
        with self._autocast:
            logits, state = self._model(self._inputs, self._state)
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), self._targets.flatten())
        self._optimizer.update(loss)
        self._state = (state[0].detach(), state[1].detach())
        return loss.item()


def measure(repetitions: int) -> Iterator[timing.Figure]:
    """Yields a figure for each type and shape."""
    place = device()
    for dtype, name in NAMES.items():
        for shape in SHAPES if place == "cpu" else GPU_SHAPES:
            mine = ours.language_model(*shape)
            with OwnProcess(Training, shape, mine.initial, ours.text_batch(shape.v, shape.b, shape.t), dtype, place) as theirs:
                check_agreement(mine, theirs, AGREEMENT[dtype])
                yield timing.compared(f"{name}/{shape}", mine, theirs, repetitions)


def check_agreement(mine: ours.Training, theirs: OwnProcess, difference: float = AGREEMENT[torch.float32]) -> None:
    """Raises where the losses of the first updates differ by more than a share: then the two sides do not do the same work."""
    losses = [theirs() for _ in range(UPDATES)]
    np.testing.assert_allclose(mine.losses(UPDATES), losses, rtol=difference, err_msg="losses of the first updates")
