import platform
import subprocess
import sys

import pytest

from api.malloc import keep_memory

PROGRAM = """
import resource, sys
from api.malloc import keep_memory
if sys.argv[1] == "on":
    assert keep_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
before = faults()
for _ in range(50):
    buffers = [bytes([1]) * (1024 * 1024 + 1) for _ in range(8)]
    del buffers
print(faults() - before)
"""
is_glibc = platform.libc_ver()[0] == "glibc"


def page_faults(tuning: str) -> int:
    done = subprocess.run([sys.executable, "-c", PROGRAM, tuning], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(not is_glibc, reason="mallopt is glibc's")
def test_buffers_of_an_upload_cost_no_page_faults_any_more() -> None:
    assert page_faults("on") * 10 < page_faults("off")


def test_another_libc_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert keep_memory() is False
