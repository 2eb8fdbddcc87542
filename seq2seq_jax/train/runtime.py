"""Settings of JAX that every training process shares."""

from __future__ import annotations

import jax

from seq2seq_jax.config import cache_folder


def prepare() -> None:
    """Keeps compiled programs on disk, so that the second start of the same run compiles nothing."""
    jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "compiled"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
