"""How large should the embedding of a character language model be? The plays of Shakespeare, character by character.

    launch.py train --config=experiments/char_lm.py --workdir=runs/shakespeare
    launch.py sweep --config=experiments/char_lm.py --workdir=runs/char_lm --config.model.hidden_dim=128

Any text: --config.data.train=FILE. A list of names: add --config.data.lines=true.

The run takes 5 minutes on two cores of a current server, up to twelve on slower ones, and reaches 1.44 nats a character on the
last tenth of tinyshakespeare (docs/results.md); the sweep trains 12 smaller ones. Segments are short, so that a text of a hundred
kilobytes too has a thousand updates.
"""

from seq2seq_jax.config import Config, DataConfig, ModelConfig, TrainConfig

SWEEP = {"model.embedding_dim": (2, 8, 32, 128), "train.seed": (0, 1, 2)}


def get_config() -> Config:
    """Returns the configuration of one run."""
    return Config(
        data=DataConfig(name="tinyshakespeare", target_unit="char", dev_fraction=0.1, test_fraction=0.0, segment_length=32),
        model=ModelConfig(kind="language_model", embedding_dim=64, hidden_dim=512, decoder_layers=1, dropout=0.3),
        train=TrainConfig(epochs=12, batch_size=32, learning_rate=3e-3, schedule="linear", warmup_steps=50, average_decay=0.998),
    )
