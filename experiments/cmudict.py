"""How large should the embedding be on the classical CMUdict split? Spelling to phonemes without stress, 113,438 pronunciations.

    launch.py train --config=experiments/cmudict.py --workdir=runs/cmudict --config.data.train=g014b2b.train
    launch.py sweep --config=experiments/cmudict.py --workdir=runs/cmudict_sizes --config.data.train=g014b2b.train

The training file of Chen (2003) and Yao & Zweig (2015), two columns (word, tab, phones separated by blanks), is not downloaded: give it by
flag. One word in 40 is held out as dev, with all its pronunciations.

A run takes about 55 minutes on 2 cores with AVX-512 (by the speed of its first updates; docs/results.md) and reaches a dev word
error rate of 21.0 % (mean of three seeds), the three together 19.5 % with a beam of 5. The sweep trains 12 such
runs: look at --dry_run first.
"""

from seq2seq_jax.config import Config, DataConfig, ModelConfig, TrainConfig

SWEEP = {"model.embedding_dim": (4, 16, 64, 256), "train.seed": (0, 1, 2)}


def get_config() -> Config:
    """Returns the configuration of one run; the training file has to be given."""
    return Config(
        data=DataConfig(source_unit="char", target_unit="word", max_length=24, dev_fraction=0.025, test_fraction=0.0),
        model=ModelConfig(kind="translator", embedding_dim=128, hidden_dim=512, encoder_layers=2, attention="additive", dropout=0.25),
        train=TrainConfig(
            epochs=12,
            batch_size=64,
            learning_rate=1.5e-3,
            schedule="linear",
            warmup_steps=200,
            label_smoothing=0.1,
            average_decay=0.999,
            eval_every=1000,
        ),
    )
