"""How Python is set up before anything large is imported: threads of NumPy, and the collection of garbage."""

from __future__ import annotations

import atexit
import gc
import os

_NEW_OBJECTS = 50_000  # between searches; Python's own 700 are made by importing and tracing thousands of times, and are no garbage


def collect_garbage_rarely() -> None:
    """Has Python search less often for cycles of garbage, and not once more through everything at its end.

    A quarter of the processor time of a short command otherwise (docs/performance.md). To be called before the large imports.
    """
    gc.set_threshold(_NEW_OBJECTS)
    atexit.register(gc.freeze)  # the last search looks at no object that is there by then


def keep_numpy_to_one_thread() -> None:
    """Keeps NumPy to one thread, unless the user has said how many. To be called before it is first imported.

    For small matrices: on a busy machine OpenBLAS's threads wait for each other for seconds.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
