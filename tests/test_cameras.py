"""Cameras of SRN's folders: `intrinsics.txt` line by line, poses, and what is neither."""

import numpy as np
import pytest
import rooms

from mscn_flax.data.made_up import random_scene
from mscn_flax.modalities import SCENES
from mscn_flax.modalities.cameras import read_cameras, turntable

LENS = "16.4 8 8 0."
ORIGIN = "0. 0. 0."


@pytest.mark.parametrize(
    ("lines", "inverted"),
    [
        ([LENS, ORIGIN, "1.", "16 16"], False),
        ([LENS, ORIGIN, "1.", "16 16", "0"], False),
        ([LENS, ORIGIN, "1.", "16 16", "1"], True),
        (["\ufeff32.8 16 16", "", ORIGIN, "0.5", "32.0 32.0\r", "1", ""], True),
        # DeepVoxels has near plane and scale.
        ([LENS, ORIGIN, "0.", "1.", "16 16"], False),
        ([LENS, ORIGIN, "0.", "1.", "16 16", "1"], True),
    ],
)
def test_intrinsics_are_read_by_lines(lines, inverted, tmp_path):
    made = random_scene(np.random.default_rng(0), 16, count=3)
    poses = np.linalg.inv(made["poses"].astype(np.float64)) if inverted else made["poses"]
    rooms.write_scene(tmp_path / "s", made | {"poses": poses})
    (tmp_path / "s" / "intrinsics.txt").write_text("\n".join(lines), encoding="utf-8")
    for side in (16, 8):
        for found in (SCENES.read(tmp_path / "s", side), read_cameras(tmp_path / "s", side)):
            np.testing.assert_allclose(found["intrinsics"], np.array([16.4, 8, 8]) * side / 16, rtol=1e-6)
            np.testing.assert_allclose(found["poses"], made["poses"], atol=1e-6)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([], "has lines of no numbers"),
        (["131.25"], "has lines of 1 numbers"),
        ([f"{LENS} {ORIGIN} 1. 16 16"], "has lines of 10 numbers"),
        (["16.4 0 8 0", "0 16.4 8 0", "0 0 1 0", "0 0 0 1"], "has lines of 4, 4, 4, 4 numbers"),
        (["16.4 0 8", "0 16.4 8", "0 0 1"], "has lines of 3, 3, 3 numbers"),
        ([LENS, ORIGIN, "1.", "16 16", "1", "1"], "has lines of 4, 3, 1, 2, 1, 1 numbers"),
        ([LENS, ORIGIN, "1."], "has lines of 4, 3, 1 numbers"),
        (["16.4 16.4 8 8", ORIGIN, "1.", "16 16"], "begins with 16.4 16.4 8 8"),
        (["16.4 -8 8 0", ORIGIN, "1.", "16 16"], "begins with 16.4 -8 8 0"),
        (["16.4 8 0 0", ORIGIN, "1.", "16 16"], "begins with 16.4 8 0 0"),
        (["16.4 8 17 0", ORIGIN, "1.", "16 16"], "begins with 16.4 8 17 0"),
        (["0 8 8 0", ORIGIN, "1.", "16 16"], "has the focal length 0"),
        (["-16.4 8 8 0", ORIGIN, "1.", "16 16"], "has the focal length -16.4"),
        (["1e39 8 8 0", ORIGIN, "1.", "16 16"], r"has the focal length 1e\+39"),
        (["inf 8 8 0", ORIGIN, "1.", "16 16"], "not finite"),
        (["16.4 8 8 0", ORIGIN, "1.", "nan nan"], "not finite"),
        ([LENS, ORIGIN, "1.", "16 12"], "for views of 16 x 12 pixels"),
        ([LENS, ORIGIN, "1.", "0 0"], "for views of 0 x 0 pixels"),
        ([LENS, ORIGIN, "1.", "-16 -16"], "for views of -16 x -16 pixels"),
        ([LENS, ORIGIN, "1.", "16.5 16.5"], "for views of 16.5 x 16.5 pixels"),
        ([LENS, ORIGIN, "1.", "16 16", "2"], "has the flag 2"),
        ([LENS, ORIGIN, "1.", "16 16", "true"], "not a number"),
    ],
)
def test_other_intrinsics_are_named(lines, says, tmp_path):
    rooms.write_scene(tmp_path / "s", random_scene(np.random.default_rng(0), 16, count=2))
    (tmp_path / "s" / "intrinsics.txt").write_text("\n".join(lines))
    for read in (lambda: SCENES.read(tmp_path / "s", 8), lambda: read_cameras(tmp_path / "s", 8)):
        with pytest.raises(ValueError, match=f"^{tmp_path / 's' / 'intrinsics.txt'} .*{says}[^\n]*$"):
            read()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda pose: pose.T, "has the last row"),
        (lambda pose: pose[:3], "has 12 numbers"),
        (lambda pose: pose * 2, "has the last row 0 0 0 2"),
        (lambda pose: pose * np.array([[2.0], [2], [2], [1]]), "has no rotation"),
        (lambda pose: pose * np.array([1.01, 1.01, 1.01, 1]), "has no rotation"),
        (lambda pose: pose * np.array([-1.0, 1, 1, 1]), "has no rotation"),
        (lambda pose: pose * np.array([0.0, 1, 1, 1]), "has no rotation"),
        (lambda pose: pose + np.eye(4)[:, 3] * 1e30, "has the number 1e"),
        (lambda pose: pose * np.nan, "not finite"),
        (lambda pose: pose + np.array([0, 0, 0, np.inf]), "not finite"),
    ],
)
def test_poses_that_are_none_are_named(spoil, says, tmp_path):
    rooms.write_scene(tmp_path / "s", random_scene(np.random.default_rng(0), 16, count=2))
    path = tmp_path / "s" / "pose" / "000001.txt"
    path.write_text("\n".join(" ".join(map(str, row)) for row in spoil(np.loadtxt(path).reshape(4, 4)).tolist()))
    for read in (lambda: SCENES.read(tmp_path / "s", 8), lambda: read_cameras(tmp_path / "s", 8)):
        with pytest.raises(ValueError, match=f"^{path} .*{says}[^\n]*$"):
            read()


def test_poses_of_four_digits_are_read(tmp_path):
    made = random_scene(np.random.default_rng(0), 16, count=2)
    rooms.write_scene(tmp_path / "s", made | {"poses": made["poses"].round(4)})
    np.testing.assert_allclose(SCENES.read(tmp_path / "s")["poses"], made["poses"], atol=1e-4)


def test_cameras_are_needed(tmp_path):
    with pytest.raises(ValueError, match="has no pose"):
        read_cameras(tmp_path / "s", 8)


def test_a_turntable_sees_all_of_the_ball_between_its_depths():
    near, far, side = 0.8, 1.8, 64
    cameras = turntable(near, far, side, 6)
    points = np.random.default_rng(0).normal(size=(1000, 3))
    points *= (far - near) / 2 / np.linalg.norm(points, axis=1, keepdims=True)
    for pose in cameras["poses"].astype(np.float64):
        x, y, depth = ((points - pose[:3, 3]) @ pose[:3, :3]).T
        assert near - 1e-6 <= depth.min()
        assert depth.max() <= far + 1e-6
        focal, column, row = cameras["intrinsics"]
        seen = np.stack([focal * x / depth + column, focal * y / depth + row])
        assert -1e-3 <= seen.min() < 4
        assert side - 4 < seen.max() <= side + 1e-3
