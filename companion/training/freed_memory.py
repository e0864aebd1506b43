"""Keep the memory that one step of training frees, for the next one."""

import ctypes
import functools
import sys

# The C library's numbers of these options (malloc.h), and the most that they take: two gigabytes, and 32 megabytes.
TRIM_THRESHOLD, MOST_KEPT = -1, 2**31 - 1
MMAP_THRESHOLD, LARGEST_KEPT = -3, 2**25


@functools.cache
def keep_freed_memory() -> bool:
    """Have this process keep what it frees from now on; return whether its C library can be told to.

    Linux's gives memory at the end of a step back to the system, and gets it again in the next one: page by page, tens
    of thousands of them, each cleared first. In a small model that is a tenth of a step. What is kept is still free for
    anything else in the process, but not for other processes.
    """
    if sys.platform != "linux":
        return False
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is None:
        return False
    return bool(set_option(TRIM_THRESHOLD, MOST_KEPT)) and bool(set_option(MMAP_THRESHOLD, LARGEST_KEPT))
