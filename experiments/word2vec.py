"""How large should word vectors be? Skip-gram with negative sampling (word2vec) on any text.

    launch.py train --config=experiments/word2vec.py --workdir=runs/vectors --config.data.train=text.txt

WikiText-2 (2.05 million words): its five epochs take 4 to 9 seconds on a core with AVX-512 and solve 6.0 % of the analogies of
questions-words.txt (mean of three seeds; docs/embeddings.md). Words are what stands between blanks; a window ends with its line.
CBOW: --config.model.cbow=true --config.train.learning_rate=0.25. Sizes are compared by the loss on dev, unless --config.train.metric says
otherwise, such as analogy_accuracy with --config.data.analogies=FILE.
"""

from seq2seq_jax.config import Config, DataConfig, ModelConfig, TrainConfig

SWEEP = {"model.embedding_dim": (25, 50, 100, 200, 400), "train.seed": (0, 1, 2)}


def get_config() -> Config:
    """Returns the configuration of one run."""
    return Config(
        data=DataConfig(
            train="text.txt",
            target_unit="word",
            min_count=5,
            dev_fraction=0.02,
            test_fraction=0.0,
            segment_length=64,
            window=5,
            subsample=1e-4,
        ),
        model=ModelConfig(kind="skip_gram", embedding_dim=100, negatives=5),
        train=TrainConfig(epochs=5, batch_size=16, learning_rate=0.05, schedule="linear", clip_norm=None),
    )
