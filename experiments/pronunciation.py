"""How large should the embedding be to read words aloud? Spelling to phonemes, on the CMU dictionary.

    make sweep
    launch.py sweep --config=experiments/pronunciation.py --workdir=runs/pronunciation

Any other list of words and pronunciations: --config.data.train=FILE.tsv (word, tab, phones separated by blanks). A language of
SIGMORPHON 2020 (Gorman et al. 2020): --config.data.name=sigmorphon2020/ice --config.train.epochs=20.

The encoder keeps its 256 units, half of them in each direction, whatever hidden_dim is. With a decoder of
256 units and 3,600 words this is about as good as 256 in each direction, and the whole command takes two thirds of the time
(docs/results.md). --config.model.encoder_hidden_dim=null gives each direction hidden_dim units.

On two slow cores the sweep takes under five minutes and recommends size 128, at a dev word error rate of 0.488 ± 0.010 (docs/results.md).
"""

from seq2seq_jax.config import Config, DataConfig, ModelConfig, TrainConfig

SWEEP = {"model.embedding_dim": (2, 8, 32, 128), "train.seed": (0, 1, 2)}


def get_config() -> Config:
    """Returns the configuration of one run."""
    return Config(
        data=DataConfig(name="cmudict", source_unit="char", target_unit="word", max_length=24, dev_fraction=0.02, test_fraction=0.02),
        model=ModelConfig(kind="translator", embedding_dim=32, hidden_dim=128, encoder_hidden_dim=256, attention="additive", dropout=0.2),
        train=TrainConfig(
            steps=1200,
            batch_size=32,
            learning_rate=6e-3,
            schedule="linear",
            warmup_steps=50,
            label_smoothing=0.1,
            average_decay=0.995,
            eval_every=400,
        ),
    )
