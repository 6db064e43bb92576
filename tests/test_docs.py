"""The web site of the pages and the API reference builds without a warning."""

import subprocess
import sys

from benchmarks.records import REPOSITORY


def test_the_site_builds_without_a_warning(tmp_path):
    command = [sys.executable, str(REPOSITORY / "docs" / "build.py"), str(tmp_path / "site")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "MetaLearner" in (tmp_path / "site" / "reference" / "mscn_flax.learner.html").read_text()
    for page in ("index.html", "docs/results.html", "gin/index.html", "CONTRIBUTING.html"):
        assert (tmp_path / "site" / page).exists(), page
