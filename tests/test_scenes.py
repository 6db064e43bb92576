"""Scenes: their rays, and the folders of SRN's data sets."""

import pathlib

import numpy as np
import PIL.Image
import pytest
import rooms

from mscn_flax.data.scenes.made_up import random_scene
from mscn_flax.modalities import SCENES, Sampling
from mscn_flax.modalities.cameras import read_cameras, turntable
from mscn_flax.modalities.scenes import NovelViews


def write(folder: pathlib.Path, made: dict[str, np.ndarray]) -> None:
    """SRN's format, with Pillow."""
    for part in ("rgb", "pose"):
        (folder / part).mkdir(parents=True)
    for index, (view, pose) in enumerate(zip(made["views"], made["poses"], strict=True)):
        PIL.Image.fromarray(view).save(folder / "rgb" / f"{index:06}.png")
        (folder / "pose" / f"{index:06}.txt").write_text(" ".join(map(repr, pose.ravel().tolist())) + "\n")
    # As SRN has it, for pictures of 128 pixels whatever their own size.
    lens = " ".join(map(str, (128 / made["views"].shape[1] * made["intrinsics"]).tolist()))
    (folder / "intrinsics.txt").write_text(f"{lens} 0.0\n0. 0. 0.\n1.\n128 128\n")


def test_a_view_has_the_rays_of_its_pixels():
    scenes = rooms.signals("scene")
    points = SCENES.whole(scenes, 8, NovelViews(novel=(3, 1)))
    assert points.coords.shape == (4, 2, 64, 6)
    np.testing.assert_array_equal(points.targets[2, 0], scenes["views"][2, 3].reshape(64, 3) / np.float32(255))
    place = scenes["poses"][1, 3, :3, 3]
    np.testing.assert_allclose(points.coords[1, 0, :, :3], np.broadcast_to(place, (64, 3)))
    # All look at the middle of the scene: the mean direction is from the camera to the origin.
    mean = points.coords[1, 0, :, 3:].mean(axis=0)
    np.testing.assert_allclose(mean / np.linalg.norm(mean), -place / np.linalg.norm(place), atol=1e-4)


def test_only_context_views_are_observed():
    scenes = rooms.signals("scene")
    points = SCENES.observed(scenes, 8, 3, evaluation=NovelViews(context=(0, 4), rays=7))
    assert points.coords.shape == (4, 3, 2 * 7, 6)
    for index in range(4):
        places = {tuple(place) for place in scenes["poses"][index, [0, 4], :3, 3].tolist()}
        assert {tuple(place) for place in points.coords[index, ..., :3].reshape(-1, 3).tolist()} == places


def test_views_that_a_scene_does_not_have_are_named():
    scenes = rooms.signals("scene")
    with pytest.raises(ValueError, match="9 views are asked for, a scene has 5"):
        SCENES.draw(scenes, 8, Sampling(views=9, rays=2), np.random.default_rng(0))
    with pytest.raises(ValueError, match="NovelViews has view 5, a scene has 5"):
        SCENES.observed(scenes, 8, 3, evaluation=NovelViews(context=(0, 5)))
    with pytest.raises(ValueError, match="NovelViews has view 7, a scene has 5"):
        SCENES.whole(scenes, 8, NovelViews(novel=(1, 7)))


def test_a_film_goes_around_the_first_scene():
    rays = SCENES.film(rooms.signals("scene"), 8, 6)
    assert rays.shape == (6, 16, 6)
    places = rays[:, 0, :3]
    np.testing.assert_allclose(places.mean(axis=0)[:2], 0, atol=1e-6)
    assert len(np.unique(places.round(5), axis=0)) == 6


def test_scenes_of_srn_are_read(tmp_path):
    made = random_scene(np.random.default_rng(0), 16, count=3)
    write(tmp_path / "s", made)
    found = SCENES.read(tmp_path / "s")
    np.testing.assert_array_equal(found["views"], made["views"])
    for name in ("poses", "intrinsics"):
        np.testing.assert_allclose(found[name], made[name], rtol=1e-6, atol=1e-6)
    small = SCENES.read(tmp_path / "s", 8)
    assert small["views"].shape == (3, 8, 8, 3)
    np.testing.assert_allclose(small["intrinsics"], made["intrinsics"] / 2, rtol=1e-6)
    np.testing.assert_allclose(read_cameras(tmp_path / "s", 8)["intrinsics"], small["intrinsics"])
    with pytest.raises(ValueError, match="views of 16x16 pixels cannot become 32x32"):
        SCENES.read(tmp_path / "s", 32)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda folder: (folder / "pose" / "000001.txt").unlink(), "000001.txt is missing"),
        (lambda folder: (folder / "pose" / "000001.txt").write_text("1 2 3"), "has 3 numbers, needed are 16"),
        (lambda folder: (folder / "intrinsics.txt").write_text("f 1"), "not a number"),
        (lambda folder: (folder / "intrinsics.txt").write_text("131.25"), "1 numbers, too few"),
        (lambda folder: (folder / "rgb" / "000001.png").write_bytes(b"\x89PNG"), "cannot be read"),
        (lambda folder: PIL.Image.new("RGB", (8, 9)).save(folder / "rgb" / "000001.png"), "squares of one size"),
        (lambda folder: [path.unlink() for path in (folder / "rgb").iterdir()], "no rgb/"),
    ],
)
def test_wrong_scenes_are_named(spoil, says, tmp_path):
    write(tmp_path / "s", random_scene(np.random.default_rng(0), 16, count=3))
    spoil(tmp_path / "s")
    with pytest.raises(ValueError, match=says) as raised:
        SCENES.read(tmp_path / "s")
    assert "\n" not in str(raised.value)


def test_a_scene_takes_the_place_of_a_scene_and_of_nothing_else(tmp_path):
    SCENES.write(tmp_path / "s", rooms.signal("scene"))
    SCENES.write(tmp_path / "s", rooms.signal("scene", 1))
    np.testing.assert_array_equal(SCENES.read(tmp_path / "s")["views"], rooms.signal("scene", 1)["views"])
    (tmp_path / "s" / "diary.txt").write_text("more than a scene")
    with pytest.raises(FileExistsError, match="exists already"):
        SCENES.write(tmp_path / "s", rooms.signal("scene"))
    assert (tmp_path / "s" / "diary.txt").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


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
