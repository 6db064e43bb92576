"""Scenes: their rays, and the folders of SRN's data sets."""

import imagecodecs
import numpy as np
import PIL.Image
import pytest
import rooms

from mscn_flax import outputs
from mscn_flax.data.made_up import random_scene
from mscn_flax.data.scenery import folders_digest
from mscn_flax.modalities import SCENES, Sampling
from mscn_flax.modalities.cameras import read_cameras
from mscn_flax.modalities.scenes import NovelViews


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
    rooms.write_scene(tmp_path / "s", made)
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
        (lambda folder: (folder / "pose" / "000001.txt").write_bytes(b"\xff\xfe"), "not a number"),
        (lambda folder: (folder / "intrinsics.txt").unlink(), "intrinsics.txt is missing"),
        (lambda folder: (folder / "rgb" / "000001.png").write_bytes(b"\x89PNG"), "cannot be read"),
        (lambda folder: PIL.Image.new("RGB", (8, 9)).save(folder / "rgb" / "000001.png"), "squares of one size"),
        (lambda folder: [path.unlink() for path in (folder / "rgb").iterdir()], "no rgb/"),
    ],
)
def test_wrong_scenes_are_named(spoil, says, tmp_path):
    rooms.write_scene(tmp_path / "s", random_scene(np.random.default_rng(0), 16, count=3))
    spoil(tmp_path / "s")
    with pytest.raises(ValueError, match=says) as raised:
        SCENES.read(tmp_path / "s")
    assert "\n" not in str(raised.value)


def test_hidden_files_are_skipped_and_capitals_alike(tmp_path):
    folder = tmp_path / "scenes" / "s"
    rooms.write_scene(folder, random_scene(np.random.default_rng(0), 16, count=2))
    as_it_was, digest = SCENES.read(folder), folders_digest([folder])
    for hidden in ("._intrinsics.txt", ".DS_Store", "rgb/._000000.png", "rgb/.x.png", "pose/._000000.txt", "../._s"):
        (folder / hidden).write_bytes(b"\0\5\x16\7")
    rooms.write_scene(folder.parent / ".trash", random_scene(np.random.default_rng(0), 16, count=2))
    assert folders_digest([folder]) == digest
    (folder / "rgb" / "000000.png").rename(folder / "rgb" / "000000.PNG")
    (folder / "pose" / "000001.txt").rename(folder / "pose" / "000001.TXT")
    for name, value in SCENES.read(folder).items():
        np.testing.assert_array_equal(value, as_it_was[name])
    assert len(read_cameras(folder, 8)["poses"]) == 2
    [(source, _)] = outputs.pairs([folder.parent], None, lambda _: ".mscn", SCENES.takes, "a scene")
    assert source == folder


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_views_of_any_mode_are_seen_on_white(mode, tmp_path):
    rng = np.random.default_rng(0)
    rooms.write_scene(tmp_path / "s", random_scene(rng, 16, count=2))
    pixels = rng.integers(0, 256, (16, 16, 4)).astype(np.uint8)
    view = PIL.Image.fromarray(pixels if mode in ("RGBA", "LA") else pixels[..., :3]).convert(mode)
    view.save(tmp_path / "s" / "rgb" / "000001.png")
    seen = np.asarray(view.convert("RGBA")).astype(float)
    opaque = seen[..., 3:] / 255
    found = SCENES.read(tmp_path / "s")["views"][1]
    np.testing.assert_allclose(found, opaque * seen[..., :3] + (1 - opaque) * 255, atol=1)


@pytest.mark.parametrize("shape", [(16, 16), (16, 16, 2), (16, 16, 3), (16, 16, 4)])
def test_views_of_16_bits_are_refused(shape, tmp_path):
    rooms.write_scene(tmp_path / "s", random_scene(np.random.default_rng(0), 16, count=2))
    values = np.random.default_rng(0).integers(0, 65536, shape).astype(np.uint16)
    (tmp_path / "s" / "rgb" / "000001.png").write_bytes(imagecodecs.png_encode(values))
    with pytest.raises(ValueError, match=r"000001.png .* more than 8 bits"):
        SCENES.read(tmp_path / "s")


def test_damaged_scenes_are_one_line(tmp_path):
    made, rng = random_scene(np.random.default_rng(0), 16, count=2), np.random.default_rng(0)
    rooms.write_scene(tmp_path / "s", made)
    for path in (path for path in sorted((tmp_path / "s").rglob("*")) if path.is_file()):
        whole = path.read_bytes()
        for _ in range(20):
            content = bytearray(whole[: rng.integers(len(whole))] if rng.uniform() < 0.5 else whole)
            for at in rng.integers(max(len(content), 1), size=2 if content else 0):
                content[at] = rng.integers(256)
            path.write_bytes(content)
            try:
                found = SCENES.read(tmp_path / "s", 8)
            except ValueError as error:
                assert str(tmp_path) in str(error)  # noqa: PT017
                assert "\n" not in str(error)  # noqa: PT017
            else:
                assert SCENES.split(found, 8, 3)["views"].shape == (1, 2, 8, 8, 3)
        path.write_bytes(whole)


def test_corrected_files_have_another_name(tmp_path):
    """What is prepared from scenes is known by their cameras, and by names and sizes of their pictures."""
    rooms.write_scene(tmp_path / "s", random_scene(np.random.default_rng(0), 16, count=2))
    names = {folders_digest([tmp_path / "s"])}
    for number, (path, content) in enumerate(
        {
            "pose/000000.txt": (tmp_path / "s" / "pose" / "000001.txt").read_bytes(),
            "intrinsics.txt": b"16 8 8 0\n0 0 0\n1\n16 16\n",
            "rgb/000000.png": b"of another size",
            "rgb/000002.png": b"",
            "pose/000002.txt": b"",
        }.items()
    ):
        (tmp_path / "s" / path).write_bytes(content)
        names.add(folders_digest([tmp_path / "s"]))
        assert len(names) == number + 2


def test_scenes_that_people_have(field_files):
    hidden = SCENES.read(field_files / "scene_appledouble", 32)
    assert hidden["views"].shape == (2, 32, 32, 3)
    np.testing.assert_allclose(hidden["intrinsics"], [32.8, 16, 16])
    flagged = SCENES.read(field_files / "scene_world2cam_flag_1", 32)
    np.testing.assert_allclose(flagged["intrinsics"], [32.8, 16, 16])
    np.testing.assert_allclose(flagged["poses"][0], np.linalg.inv(hidden["poses"][0]))
    for name, says in (("scene_nsvf_4x4", "lines of 4, 4, 4, 4 numbers"), ("scene_grey16", "more than 8 bits")):
        with pytest.raises(ValueError, match=says):
            SCENES.read(field_files / name, 32)


def test_a_scene_takes_the_place_of_a_scene_and_of_nothing_else(tmp_path):
    SCENES.write(tmp_path / "s", rooms.signal("scene"))
    SCENES.write(tmp_path / "s", rooms.signal("scene", 1))
    np.testing.assert_array_equal(SCENES.read(tmp_path / "s")["views"], rooms.signal("scene", 1)["views"])
    (tmp_path / "s" / "diary.txt").write_text("more than a scene")
    with pytest.raises(FileExistsError, match="exists already"):
        SCENES.write(tmp_path / "s", rooms.signal("scene"))
    assert (tmp_path / "s" / "diary.txt").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["s"]
