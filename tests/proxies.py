"""nginx in front of a service, with the configuration that operators are given."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.live import START_SECONDS, STOP_SECONDS
from tests.machine import listens, program, wait_for
from tests.programs import ROOT

CONFIGURATION = ROOT / "deploy" / "nginx.conf"


@dataclass(frozen=True, slots=True)
class Proxy:
    """An nginx that listens at `url`. Its access and error log are one file."""

    url: str
    log: Path


@contextmanager
def proxying(folder: Path, port: int, service_port: int) -> Iterator[Proxy]:
    """An nginx at `port` before a service at another, both of 127.0.0.1; its files lie below `folder`."""
    nginx = program("nginx")
    adapted = folder / "nginx.conf"
    adapted.write_text(_adapted(CONFIGURATION.read_text(), folder, port, service_port))
    log = folder / "nginx.log"
    # Workers of root would be nobody, who may not enter the folders of tests.
    user = "user root; " if os.geteuid() == 0 else ""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [nginx, "-e", "stderr", "-p", folder, "-c", adapted, "-g", f"{user}daemon off;"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for(lambda: listens(port) or process.poll() is not None, START_SECONDS)
        assert process.poll() is None, f"nginx did not start:\n{log.read_text()}"
        yield Proxy(f"http://127.0.0.1:{port}", log)
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)


def _adapted(text: str, folder: Path, port: int, service_port: int) -> str:
    """The configuration with other places, and nothing else."""
    for given, own in {
        "/tmp/": f"{folder}/",
        "server cairn:8000;": f"server 127.0.0.1:{service_port};",
        "listen 8080;": f"listen 127.0.0.1:{port};",
    }.items():
        assert given in text
        text = text.replace(given, own)
    return text
