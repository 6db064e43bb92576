"""Views of a scene: reading the folders of SRN's data sets, and rendering made-up scenes exactly."""

import dataclasses
import hashlib
import pathlib
import tempfile
from collections.abc import Sequence

import numpy as np
import PIL.Image
from jaxtyping import Float, UInt8

from mscn_flax import signals


@dataclasses.dataclass(frozen=True)
class Views:
    """Pictures of one scene, all by cameras of one kind.

    Attributes:
      pictures: on white.
      poses: camera to world; x right, y down, z into the scene.
      focal: in pixels.
      cx: column of the optical axis, in pixels.
      cy: row of it.
    """

    pictures: UInt8[np.ndarray, "V s s 3"]
    poses: Float[np.ndarray, "V 4 4"]
    focal: float
    cx: float
    cy: float

    def reduced(self, side: int) -> "Views":
        """The same views with `side` pixels a side, by area.

        Raises:
          ValueError: where they have fewer.
        """
        have = self.pictures.shape[1]
        if have == side:
            return self
        if have < side:
            raise ValueError(f"views of {have}x{have} pixels cannot become {side}x{side}")
        size, area = (side, side), PIL.Image.Resampling.BOX
        small = [np.asarray(PIL.Image.fromarray(picture).resize(size, area)) for picture in self.pictures]
        factor = side / have
        return Views(np.stack(small), self.poses, self.focal * factor, self.cx * factor, self.cy * factor)

    def as_record(self) -> dict[str, np.ndarray]:
        """As the data set stores it."""
        camera = np.array([self.focal, self.cx, self.cy], np.float32)
        return {"views": self.pictures, "poses": self.poses.astype(np.float32), "intrinsics": camera}


def read(folder: pathlib.Path) -> Views:
    """A scene in SRN's format: rgb/*.png, pose/*.txt (16 numbers, camera to world) and intrinsics.txt.

    Raises:
      ValueError: in one line, for a folder that is not that.
    """
    pictures = sorted((folder / "rgb").glob("*.png"))
    if not pictures:
        raise ValueError(f"{folder} has no rgb/*.png: a scene is a folder with rgb/, pose/ and intrinsics.txt")
    taken, poses = [], []
    for path in pictures:
        pose = folder / "pose" / f"{path.stem}.txt"
        poses.append(_numbers(pose, 16).reshape(4, 4))
        try:
            with PIL.Image.open(path) as opened:
                picture = opened.convert("RGBA")
        except OSError as error:
            raise ValueError(f"{path} cannot be read: {error}") from error
        white = PIL.Image.new("RGBA", picture.size, "white")
        taken.append(np.asarray(PIL.Image.alpha_composite(white, picture).convert("RGB")))
    sides = {picture.shape for picture in taken}
    if len(sides) != 1 or taken[0].shape[0] != taken[0].shape[1]:
        raise ValueError(f"{folder} has views of shapes {sorted(sides)}, needed are squares of one size")
    return Views(np.stack(taken), np.stack(poses).astype(np.float32), *_intrinsics(folder, taken[0].shape[0]))


def cameras(folder: pathlib.Path, side: int) -> dict[str, np.ndarray]:
    """Those of a scene's folder: `poses` [V, 4, 4], `intrinsics` [3] for `side` pixels a side. Needs no pictures.

    Raises:
      ValueError: in one line, for a folder that has none.
    """
    paths = sorted((folder / "pose").glob("*.txt"))
    if not paths:
        raise ValueError(f"{folder} has no pose/*.txt: cameras are pose/ and intrinsics.txt")
    poses = np.stack([_numbers(path, 16).reshape(4, 4) for path in paths])
    return {"poses": poses.astype(np.float32), "intrinsics": _intrinsics(folder, side).astype(np.float32)}


def is_only_a_scene(path: pathlib.Path) -> bool:
    """Whether a folder holds what `write` writes and nothing else."""
    return path.is_dir() and {inside.name for inside in path.iterdir()} == {"rgb", "pose", "intrinsics.txt"}


def write(folder: pathlib.Path, views: Views) -> None:
    """Writes a scene as `read` reads it, whole or not at all; takes the place of another scene.

    Raises:
      FileExistsError: where there is anything else already.
    """
    if folder.exists() and not is_only_a_scene(folder):
        raise FileExistsError(f"{folder} exists already; name another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as unfinished:
        made = pathlib.Path(unfinished) / "new"
        (made / "rgb").mkdir(parents=True)
        (made / "pose").mkdir()
        for index, (picture, pose) in enumerate(zip(views.pictures, views.poses, strict=True)):
            PIL.Image.fromarray(picture).save(made / "rgb" / f"{index:06d}.png")
            (made / "pose" / f"{index:06d}.txt").write_text(" ".join(f"{number:.8g}" for number in pose.ravel()) + "\n")
        side = views.pictures.shape[1]
        lens = f"{views.focal:.8g} {views.cx:.8g} {views.cy:.8g} 0."
        (made / "intrinsics.txt").write_text(f"{lens}\n0. 0. 0.\n1.\n{side} {side}\n")
        if folder.exists():
            folder.rename(pathlib.Path(unfinished) / "old")
        made.rename(folder)


def _intrinsics(folder: pathlib.Path, side: int) -> Float[np.ndarray, " 3"]:
    """Focal length and column and row of the axis in pixels, of views of so many a side."""
    # First line: for which size they hold is in the last line.
    camera = _numbers(folder / "intrinsics.txt", None)
    if len(camera) < 5:
        raise ValueError(f"{folder / 'intrinsics.txt'} has {len(camera)} numbers, too few for focal length and size")
    return side / camera[-1] * camera[:3]


def _numbers(path: pathlib.Path, count: int | None) -> np.ndarray:
    try:
        numbers = np.array(path.read_text().split(), np.float64)
    except FileNotFoundError as error:
        raise ValueError(f"{path} is missing") from error
    except ValueError as error:
        raise ValueError(f"{path} has something that is not a number") from error
    if (count is not None and len(numbers) != count) or not np.isfinite(numbers).all():
        raise ValueError(f"{path} has {len(numbers)} numbers, needed are {count} finite ones")
    return numbers


def folders_digest(folders: Sequence[pathlib.Path]) -> str:
    """Names several scenes by the names of their folders and the number of their views."""
    digest = hashlib.sha256()
    for folder in folders:
        digest.update(f"{folder.parent.name}/{folder.name} {len(list((folder / 'rgb').glob('*.png')))};".encode())
    return digest.hexdigest()[:12]


def look_at_origin(position: Float[np.ndarray, " 3"]) -> Float[np.ndarray, "4 4"]:
    """The pose of a camera that looks from `position` at the origin, z of the world up."""
    forward = -position / np.linalg.norm(position)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    pose[:3, 3] = position
    return pose


def ring(distance: float, height: float, count: int) -> Float[np.ndarray, "V 4 4"]:
    """Poses of cameras that look at the origin from a circle around it, so far away and so high."""
    radius = np.sqrt(max(distance**2 - height**2, (distance / 2) ** 2))
    angles = 2 * np.pi * np.arange(count) / count
    return np.stack([look_at_origin(np.array([radius * np.cos(a), radius * np.sin(a), height])) for a in angles])


def turntable(near: float, far: float, side: int, count: int = 24) -> dict[str, np.ndarray]:
    """Cameras around the ball that lies between two depths, from 30 degrees above, which it just fills.

    Args:
      near: depth of the ball's first point.
      far: of its last.
      side: pixels a side of a view.
      count: V.
    """
    distance, radius = (near + far) / 2, (far - near) / 2
    # The cone that touches the ball.
    focal = side / 2 * np.sqrt(max(distance**2 - radius**2, 1e-6)) / radius
    intrinsics = np.array([focal, side / 2, side / 2], np.float32)
    return {"poses": ring(distance, distance / 2, count).astype(np.float32), "intrinsics": intrinsics}


def random_scene(rng: np.random.Generator, side: int, count: int = 24) -> Views:
    """A made-up scene: three to six shaded balls within a unit ball's half, seen from a sphere of radius 1.3."""
    balls = [
        (rng.uniform(-0.22, 0.22, 3), rng.uniform(0.08, 0.22), rng.uniform(0.1, 0.9, 3))
        for _ in range(rng.integers(3, 7))
    ]
    focal, centre = 131.25 / 128 * side, (side / 2, side / 2)
    grid = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij"), axis=-1).reshape(-1, 2)
    poses, pictures = [], []
    for _ in range(count):
        angle, height = rng.uniform(0, 2 * np.pi), rng.uniform(-0.2, 0.9)
        ring = np.sqrt(1 - height**2)
        poses.append(look_at_origin(1.3 * np.array([ring * np.cos(angle), ring * np.sin(angle), height])))
        rays = signals.camera_rays(poses[-1], grid, focal, centre)
        pictures.append(_seen(balls, rays.astype(np.float64)).reshape(side, side, 3))
    return Views(np.stack(pictures), np.stack(poses).astype(np.float32), focal, *centre)


def _seen(balls: list, rays: Float[np.ndarray, "N 6"]) -> UInt8[np.ndarray, "N 3"]:
    """What rays meet first, lit from above; white where they meet nothing."""
    origins, directions = rays[:, :3], rays[:, 3:] / np.linalg.norm(rays[:, 3:], axis=1, keepdims=True)
    nearest, colours = np.full(len(rays), np.inf), np.ones((len(rays), 3))
    for centre, radius, colour in balls:
        along = np.einsum("ni,ni->n", centre - origins, directions)
        inside = radius**2 - np.sum((origins + along[:, None] * directions - centre) ** 2, axis=1)
        depth = along - np.sqrt(np.maximum(inside, 0))
        hit = (inside > 0) & (depth > 0) & (depth < nearest)
        normal = (origins + depth[:, None] * directions - centre) / radius
        light = 0.55 + 0.45 * normal @ np.array([0.3, 0.2, 0.93])
        colours[hit], nearest[hit] = np.clip(light[:, None] * colour, 0, 1)[hit], depth[hit]
    return np.rint(255 * colours).astype(np.uint8)
