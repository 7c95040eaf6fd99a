"""What the README shows has to work as it is shown."""

import re
import subprocess
from pathlib import Path

from tests.documents import ROOT
from tests.live import Live
from tests.machine import program


def test_the_first_session_with_curl_works_as_written(live: Live, tmp_path: Path) -> None:
    program("curl")
    blocks = re.findall(r"^```bash\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    script = "set -e\n" + "".join(blocks).replace("http://localhost:8000", live.url)
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert '"problems":[]' in (tmp_path / "upload.json").read_text()
    assert '"totalCount":1' in done.stdout
    assert (tmp_path / "back.txt").read_bytes() == (tmp_path / "cairn.txt").read_bytes()
    assert (tmp_path / "copy.txt").read_bytes() == (tmp_path / "cairn.txt").read_bytes()
    assert "cairn{" in done.stdout
    assert '"size":48},"problems":[]' in (tmp_path / "completed.json").read_text()
