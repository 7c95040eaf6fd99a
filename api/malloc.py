"""glibc's allocator, told to keep memory: buffers of uploads otherwise cost a page fault for every 4 KiB."""

import ctypes
import platform

# Parameters of mallopt(3), from malloc.h.
M_TRIM_THRESHOLD = -1
M_TOP_PAD = -2
M_MMAP_THRESHOLD = -3
# Buffers of up to a few MiB come from the heap instead of a mapping of their own, and the heap shrinks and grows in
# steps so large that a busy service does neither.
TUNING = {
    M_MMAP_THRESHOLD: 16 * 1024**2,
    M_TRIM_THRESHOLD: 64 * 1024**2,
    M_TOP_PAD: 16 * 1024**2,
}


def keep_memory() -> bool:
    """Raise the allocator's thresholds for this process. False where there is no glibc, or where it refuses."""
    if platform.libc_ver()[0] != "glibc":
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    mallopt.argtypes = (ctypes.c_int, ctypes.c_int)
    mallopt.restype = ctypes.c_int
    return all(mallopt(parameter, value) == 1 for parameter, value in TUNING.items())
