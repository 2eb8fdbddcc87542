"""How large should the word embeddings of a translator be? Sentences in one language to sentences in another.

    launch.py sweep --config=experiments/translation.py --workdir=runs/translation --config.data.train=pairs.tsv

Two columns (source, tab, target), or two aligned files: --config.data.train=a.en,a.fr. Without either it downloads Multi30k, English to
French. The sweep trains 12 runs: look at --dry_run first. English to French of Tatoeba (fra.txt):

    launch.py train --config=experiments/translation.py --workdir=runs/tatoeba --config.data.train=fra.txt \\
        --config.data.dev_fraction=0.05 --config.data.test_fraction=0.05

takes an hour on one core and reaches BLEU 48.3 on dev and 47.6 on test (docs/results.md).
"""

from seq2seq_jax.config import Config, DataConfig, ModelConfig, TrainConfig

SWEEP = {"model.embedding_dim": (32, 64, 128, 256), "train.seed": (0, 1, 2)}


def get_config() -> Config:
    """Returns the configuration of one run."""
    return Config(
        data=DataConfig(name="multi30k/en-fr", source_unit="bpe", target_unit="bpe", max_length=40, bpe_size=4000),
        model=ModelConfig(kind="translator", embedding_dim=256, hidden_dim=384, dropout=0.2, tie_output=True),
        train=TrainConfig(
            epochs=6,
            batch_size=64,
            learning_rate=2e-3,
            schedule="linear",
            warmup_steps=200,
            label_smoothing=0.1,
            average_decay=0.999,
            metric="bleu",
        ),
    )
