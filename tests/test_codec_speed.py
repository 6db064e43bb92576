"""The benchmark of the codec's commands: the picture that it makes, its rows, and commands that fail."""

import numpy as np
import pytest

from benchmarks import codec_speed, records
from benchmarks.figures import codec_speed as figure
from benchmarks.figures.results import Results


@pytest.mark.parametrize(("height", "width"), [(3, 4), (10, 9), (25, 31)])
def test_a_mosaic_has_the_middle_of_every_picture_until_it_is_full(height, width):
    pictures = [np.full((8 + i, 9 - i, 3), i, np.uint8) for i in range(3)]
    made = codec_speed.mosaic(pictures, height, width)
    assert made.shape == (height, width, 3)
    # Middles are of 8 x 7 pixels.
    assert (made[:8, :7] == 0).all()
    across = -(-width // 7)
    assert set(np.unique(made)) == {i % 3 for i in range(across * -(-height // 8))}


def test_a_row_per_command_and_the_table(ran):
    results = Results(ran("codec_speed") / "results" / "smoke")
    rows = results.rows("codec_speed", records.CODEC_SPEED_COLUMNS)
    assert list(rows["task"]) == ["encode", "decode"]
    assert (rows[["step_s", "megapixels_per_s", "peak_mib", "bytes", "psnr_db"]] > 0).all().all()
    np.testing.assert_allclose(rows["megapixels_per_s"], 64 * 96 / 1e6 / rows["step_s"], rtol=1e-3)
    assert "| mscn decode | 96 x 64 |" in figure.draw(results)["codec_speed.md"]


def test_a_command_that_fails_is_named(tmp_path):
    with pytest.raises(ValueError, match="mscn decode failed with status 1"):
        codec_speed._measure("decode", tmp_path / "absent.mscn", "--json")
