"""The memory of a server: what one request gave back is there for the next."""

from __future__ import annotations

import ctypes
import gc

# glibc's mallopt (mallopt(3)): blocks below the first are cut from the heap, of which up to the second stay when free.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST, _KEPT = 4 * 2**20, 32 * 2**20


def settle() -> None:
    """Prepare for requests, once everything is loaded.

    What is loaded stays, so no collection needs to look at it again. Blocks of the size of a request's arrays are
    handed out anew without going back to the system in between, which costs more than the prediction in it can.
    """
    gc.collect()
    gc.freeze()
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return  # another C library, which has its own ways
    mallopt(_MMAP_THRESHOLD, _LARGEST)
    mallopt(_TRIM_THRESHOLD, _KEPT)
