"""The translator's training step against the same model made of PyTorch's modules: packed sources, masked attention."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch.nn import functional
from torch.nn.utils import rnn

from benchmarks import ours, timing
from benchmarks.lstm_step import Optimizer, check_agreement, copy_lstm, device, multiply_alike, tensor
from benchmarks.own_process import OwnProcess
from seq2seq_jax.config import ModelConfig
from seq2seq_jax.data.batches import PairBatch
from seq2seq_jax.data.vocabulary import BOS, PAD
from seq2seq_jax.model.build import Params

D, H, ROWS, LENGTHS = 128, 256, 64, (7, 16)
SIZES = {"source": 60, "target": 60}
CONFIG = ModelConfig(embedding_dim=D, hidden_dim=H)  # bidirectional, general attention, as by default
NAME = f"translator_step/V{SIZES['source']}_D{D}_H{H}_B{ROWS}_S{LENGTHS[0]}-{LENGTHS[1]}"


class Translator(torch.nn.Module):
    """A bidirectional encoder and a decoder with general attention, with the parameters of ours."""

    def __init__(self, params: Params):
        super().__init__()
        self.source_embedding = torch.nn.Embedding(SIZES["source"], D)
        self.target_embedding = torch.nn.Embedding(SIZES["target"], D)
        self.encoder = torch.nn.LSTM(D, H, batch_first=True, bidirectional=True)
        self.bridge = torch.nn.Linear(2 * H, 2 * H, bias=False)
        self.decoder = torch.nn.LSTM(D, H, batch_first=True)
        self.keys = torch.nn.Linear(2 * H, H, bias=False)
        self.combine = torch.nn.Linear(3 * H, H, bias=False)
        self.output = torch.nn.Linear(H, SIZES["target"])
        self._copy(params)

    @torch.no_grad()
    def _copy(self, params: Params) -> None:
        self.source_embedding.weight.copy_(tensor(params["source_embedding"]["table"]))
        self.target_embedding.weight.copy_(tensor(params["target_embedding"]["table"]))
        forward, backward = (params["encoder"]["layers"][0][direction] for direction in (0, 1))
        copy_lstm(self.encoder, "l0", forward)
        copy_lstm(self.encoder, "l0_reverse", backward)
        decoder = params["decoder"]
        copy_lstm(self.decoder, "l0", decoder["stack"]["layers"][0])
        self.bridge.weight.copy_(tensor(decoder["bridges"][0]).T)
        self.keys.weight.copy_(tensor(decoder["attention"]["memory_kernel"]).T)
        self.combine.weight.copy_(tensor(decoder["combine_kernel"]).T)
        self.output.weight.copy_(tensor(params["output"]["kernel"]).T)
        self.output.bias.copy_(tensor(params["output"]["bias"]))

    def forward(self, source: torch.Tensor, lengths: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        """Returns the logits after each of the target symbols ``inputs``."""
        packed = rnn.pack_padded_sequence(self.source_embedding(source), lengths, batch_first=True, enforce_sorted=False)
        encoded, (last, _) = self.encoder(packed)
        memory, _ = rnn.pad_packed_sequence(encoded, batch_first=True, total_length=source.shape[1])
        hidden, cell = self.bridge(torch.cat([last[0], last[1]], dim=-1)).chunk(2, dim=-1)
        state = (torch.tanh(hidden)[None], cell.contiguous()[None])
        queries, _ = self.decoder(self.target_embedding(inputs), state)
        scores = torch.bmm(queries, self.keys(memory).transpose(1, 2))
        weights = torch.softmax(scores.masked_fill((source == PAD)[:, None], float("-inf")), dim=-1)
        vectors = torch.tanh(self.combine(torch.cat([torch.bmm(weights, memory), queries], dim=-1)))
        return self.output(vectors)


class Training:
    """The model in training: each call makes one update."""

    def __init__(self, params: Params, batch: PairBatch, device: str):
        multiply_alike(device)
        self._model = Translator(params).to(device)
        self._optimizer = Optimizer(self._model)
        self._source, self._target = (tensor(ids).long().to(device) for ids in (batch.source, batch.target))
        self._lengths = tensor(batch.source_lengths).long()  # which stay on the host
        self._inputs = torch.cat([torch.full_like(self._target[:, :1], BOS), self._target[:, :-1]], dim=1)

    def __call__(self) -> float:
        """Makes one update and returns the loss before it, nats a unit."""
        logits = self._model(self._source, self._lengths, self._inputs)
        loss = functional.cross_entropy(logits.flatten(0, 1), self._target.flatten(), ignore_index=PAD)
        self._optimizer.update(loss)
        return loss.item()


def measure(repetitions: int) -> Iterator[timing.Figure]:
    """Yields the figure, after checking that both sides do the same."""
    mine, batch = ours.translator(CONFIG, SIZES, ROWS, LENGTHS)
    with OwnProcess(Training, mine.initial, batch, device()) as theirs:
        check_agreement(mine, theirs)
        yield timing.compared(NAME, mine, theirs, repetitions)
