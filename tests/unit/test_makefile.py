"""`make setup` goes on after whatever came of an attempt before."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
WORKS = "#!/bin/sh\nexit 0\n"
NO_PIP = '#!/bin/sh\n[ "$2" != pip ]\n'
MAKER = f"""#!/bin/sh
[ "$2" = venv ] || exit 0
mkdir -p "$3/bin"
for name in python pip; do printf '{WORKS.encode("unicode_escape").decode()}' > "$3/bin/$name"; chmod +x "$3/bin/$name"; done
"""


def executable(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    path.chmod(0o755)


def test_an_environment_that_was_begun_only_is_made_anew(tmp_path: Path) -> None:
    """Ctrl-C while it was made, or a Debian without python3-venv: Python is there, pip is not."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("setup.cfg", "pyproject.toml", "models/manifest.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    executable(tmp_path / ".venv/bin/python", NO_PIP)
    executable(tmp_path / "a-python", MAKER)
    subprocess.run(["make", "setup", "PYTHON=./a-python"], cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / ".venv/.ready").exists() and (tmp_path / ".venv/bin/pip").exists()
