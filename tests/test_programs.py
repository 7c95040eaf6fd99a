import signal
import subprocess
from pathlib import Path

import pytest

from tests import programs
from tests.machine import wait_for
from tests.programs import Program, outside, run, start


def waiting(folder: Path) -> Program:
    return start("http.server", "--bind", "127.0.0.1", "0", folder=folder, environment=outside())


def test_a_program_has_its_own_folder_and_environment(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("CAIRN_HOST=127.0.0.9\n")
    done = run("api", "settings", folder=tmp_path, environment=outside() | {"CAIRN_PORT": "81"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "CAIRN_HOST=127.0.0.9  # CAIRN_HOST in .env\n" in done.stdout
    assert "CAIRN_PORT=81  # " in done.stdout


def test_a_program_reads_what_is_typed_and_its_status_and_errors_are_told(tmp_path: Path) -> None:
    taken = run("json.tool", "--compact", folder=tmp_path, environment=outside(), typed="[1, 2]")
    assert (taken.returncode, taken.stdout) == (0, "[1,2]\n")
    refused = run("json.tool", folder=tmp_path, environment=outside(), typed="[1,")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "Expecting value" in refused.stderr


def test_a_program_that_is_killed_says_so(tmp_path: Path) -> None:
    program = waiting(tmp_path)
    assert program.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        program.wait(0.01)
    program.kill()
    assert program.wait(10) == program.poll() == -signal.SIGKILL
    program.terminate()  # too late, and no fault


def test_no_program_outlives_whoever_started_it(tmp_path: Path) -> None:
    program = waiting(tmp_path)
    programs.end_all()
    assert wait_for(lambda: not Path(f"/proc/{program.pid}").exists(), 10)
    assert program.wait(10) == -signal.SIGKILL
    again = waiting(tmp_path)
    again.terminate()
    assert again.wait(10) == -signal.SIGTERM
