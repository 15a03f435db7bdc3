"""The demo data set: short H.264 clips of procedural talking heads, and face swaps made on some of them.

It stands in for the licence-gated sets in a fresh clone. A head is a relief over an ellipsoid, ray-cast in linear
light (gamma 2). A fake differs from its real clip by the swap alone: one loop renders both, one encoder writes both.
"""

import json
import multiprocessing
from collections import namedtuple
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt

from dualface.errors import ParamsError

Array = npt.NDArray[Any]  # float32 unless a docstring says otherwise: float64 would halve the speed

RATE = 30  # frames per second
TEXELS = 320  # side of a head's texture
EXTENT = 1.85  # half side of it in Lambert azimuthal units: 1.41 is the limb of a frontal head, 2 its back
FACE, CLIP, SWAP, PART = range(4)  # first key of a random stream: what it is for

# Angles in radians; centre (x, y) and half height in pixels; mouth (open) and lids (closed) in [0, 1]; `sun` is the
# azimuth of the key light. Light: `rise` is the slope of the key light, `key` its linear RGB (3,).
Pose = namedtuple("Pose", "pitch yaw roll x y scale mouth lids sun")
Light = namedtuple("Light", "rise fill ambient key")


@dataclass(frozen=True)
class DemoPlan:
    """Every number of the demo set; `check` says which are allowed."""

    seed: int
    identities: int
    test_identities: int  # the last ones; no fake mixes them with the others
    videos_per_identity: int  # real clips of each identity, in Celeb-real
    fakes_per_video: int  # fakes made on each of those, in Celeb-synthesis
    youtube_real: int  # further real clips, each of a person of its own
    frames: int
    width: int
    height: int
    crf: int
    strength: tuple[float, float]  # range over the fakes; the worst swap has 1
    partial_share: float  # share of the fakes of which only some frames are fake

    def check(self) -> None:
        """Raise ParamsError, naming the value and what is allowed, if the set can't be made."""
        side = min(self.test_identities, self.identities - self.test_identities)
        fewer = f"0, or fewer than the identities on the smaller side of the test split ({side})"
        for name, kept, allowed in (
            ("seed", self.seed >= 0, "0 or more"),
            ("test_identities", side >= 0, f"0 to identities ({self.identities})"),
            ("videos_per_identity", self.videos_per_identity >= 0, "0 or more"),
            ("fakes_per_video", self.fakes_per_video in range(max(side, 1)), fewer),
            ("youtube_real", self.youtube_real >= 0, "0 or more"),
            ("frames", self.frames >= 2, "2 or more"),
            ("width", self.width >= 160 and self.width % 2 == 0, "even, from 160"),
            ("height", self.height >= 120 and self.height % 2 == 0, "even, from 120"),
            ("crf", 0 <= self.crf <= 51, "0 to 51"),
            ("strength", 0 < self.strength[0] <= self.strength[1] <= 1, "0 < low <= high <= 1"),
            ("partial_share", 0 <= self.partial_share <= 1, "0 to 1"),
        ):
            if not kept:
                raise ParamsError(f"demo: {name} is {getattr(self, name)}, allowed: {allowed}")


def _rng(plan: DemoPlan, *key: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(entropy=plan.seed, spawn_key=key))


def _vec(*values: float) -> Array:
    return np.array(values, dtype=np.float32)


def _step(value: Array, low: float, high: float) -> Array:
    ramp = np.clip((value - low) / (high - low), 0, 1)
    return np.asarray(ramp * ramp * (3 - 2 * ramp))


def _bump(across: Array, down: Array | float = 0) -> Array:
    return np.exp(-0.5 * (across * across + down * down))


def _mix(under: Array, over: Array, mask: Array) -> Array:
    return np.asarray(under + mask[..., None] * (over - under))


class Head:
    """One person: a relief r(n) over the unit directions n; half height 1, x right, y down, z to the camera."""

    def __init__(self, plan: DemoPlan, person: int) -> None:
        rng = _rng(plan, FACE, person)
        tone = np.float32(rng.uniform())  # the first draw: `_jobs` chooses donors by it without building heads
        self.skin = (_vec(0.96, 0.83, 0.74) - tone * _vec(0.53, 0.54, 0.52)) ** 2
        self.hair = (_vec(0.06, 0.05, 0.05) + _vec(0.4, 0.3, 0.2) * rng.uniform() * (1 - tone)) ** 2
        self.male = rng.uniform() < 0.5
        self.axes = _vec(rng.uniform(0.70, 0.80), 1, rng.uniform(0.84, 0.95))
        self.eye = rng.uniform((0.275, -0.03, 0.42), (0.325, 0.03, 0.6)).tolist()  # x, y, height of the lid
        self.mouth = rng.uniform((0.6, 0.19, 0.05), (0.67, 0.25, 0.08)).tolist()  # y, half width, height of a lip
        u, v = np.meshgrid(*[np.linspace(-EXTENT, EXTENT, TEXELS, dtype=np.float32)] * 2)
        square = np.minimum(u * u + v * v, 3.99)
        n = np.dstack([u, v, 1 - square / 2])  # (T, T, 3), T = TEXELS
        n[..., :2] *= np.sqrt(1 - square / 4)[..., None]
        self.x, self.y, self.front = n[..., 0] * self.axes[0], n[..., 1], _step(n[..., 2], 0, 0.3)
        turn = np.arctan2(n[..., 0], n[..., 2])
        strands = np.interp(turn, np.linspace(-np.pi, np.pi, 300), rng.standard_normal(300)).astype(np.float32)
        hairline = rng.uniform(-0.72, -0.55) + rng.uniform(0.12, 0.2) * np.abs(turn) ** rng.uniform(2.4, 3.4)
        self.hairy = _step(hairline.astype(np.float32) + 0.02 * strands - self.y, -0.03, 0.03)
        self.radius = self._relief(rng, n)  # (T, T)
        points = self.radius[..., None] * n * self.axes
        normal = np.cross(np.gradient(points, axis=1), np.gradient(points, axis=0))
        self.normal = (normal / np.linalg.norm(normal, axis=2, keepdims=True)).astype(np.float32)  # (T, T, 3)
        self.albedo = self._albedo(rng, strands)  # (T, T, 3), linear RGB

    def _relief(self, rng: np.random.Generator, n: Array) -> Array:
        x, y, (eye_x, eye_y, _) = np.abs(self.x), self.y, self.eye
        tip, wing, jaw, hair = rng.uniform((0.38, 0.075, 0.03, 0.03), (0.46, 0.125, 0.17, 0.1)).tolist()
        along = np.clip((y + 0.1) / (tip + 0.1), 0, 1)
        ridge = (0.045 + 0.15 * along**1.5) * _step(y, -0.16, -0.02) * (1 - _step(y, tip, tip + 0.08))
        relief = ridge * _bump(x / (wing * (0.45 + 0.5 * along)))
        for height, at_x, at_y, across, down in (
            (0.055, 1.05 * wing, tip, 0.035, 0.045),  # the wings of the nose,
            (-0.065, 0.93 * eye_x, eye_y, 0.14, 0.095),  # the sockets and
            (0.036, eye_x, eye_y, 0.085, 0.06),  # balls of the eyes,
            (0.05 if self.male else 0.027, 0.25, eye_y - 0.17, 0.2, 0.05),  # the brows,
            (0.033, 0.45, 0.22, 0.13, 0.12),  # the cheeks,
            (0.045, 0, self.mouth[0], 0.2, 0.1),  # the mouth and
            (0.052, 0, 0.9, 0.16, 0.1),  # the chin
        ):
            relief += height * rng.uniform(0.7, 1.3) * _bump((x - at_x) / across, (y - at_y) / down)
        square = (np.abs(n) ** rng.uniform(2.15, 2.6)).sum(axis=2) ** -0.42 - 1  # heads are no balls
        square -= 1.25 * jaw * _step(y, 0.45, 1) * np.abs(n[..., 0]) ** 1.5
        volume = hair * cv2.GaussianBlur(self.hairy, (0, 0), 5)  # a sharp step would make jagged normals
        return np.asarray(1 + 0.8 * square + self.front * relief + volume, dtype=np.float32)

    def _albedo(self, rng: np.random.Generator, strands: Array) -> Array:
        x, y, (eye_x, eye_y, _) = np.abs(self.x), self.y, self.eye
        pores, blotches = (cv2.resize(rng.standard_normal((n, n)), x.shape) for n in (130, 30))
        skin = self.skin * (1 + 0.04 * pores + 0.04 * blotches)[..., None]
        arch = eye_y - 0.19 + 0.9 * (x - eye_x) ** 2 + rng.uniform(-0.1, 0.1) * (x - eye_x)
        thick = rng.uniform(0.02, 0.03) * (1.3 if self.male else 1) * (1.2 - x)
        brow = _bump((y - arch) / thick, np.maximum(np.abs(x - eye_x) - 0.13, 0) / 0.03) * (0.8 + 0.15 * pores)
        skin = _mix(skin, 0.8 * self.hair, self.front * np.clip(brow, 0, 1))
        colour = _mix(skin, self.hair * (1 + 0.25 * strands + 0.1 * pores)[..., None], self.hairy)
        hollow = np.maximum(cv2.GaussianBlur(self.radius, (0, 0), 6) - self.radius, 0)[..., None]  # sees less sky
        return np.asarray(np.clip(colour, 0, 1) * np.clip(1 - 12 * hollow, 0.3, 1), dtype=np.float32)

    def _painted(self, pose: Pose) -> Array:
        """Return the albedo (T, T, 3) with the eyes and the mouth of one frame."""
        top, bottom = np.searchsorted(self.y[:, TEXELS // 2], (-0.25, 0.97))
        left, right = np.searchsorted(self.x[TEXELS // 2], (-0.5, 0.5))
        albedo, patch = self.albedo.copy(), np.s_[top:bottom, left:right]
        skin, x, y = albedo[patch], self.x[patch], self.y[patch]
        across, down = (np.abs(x) - self.eye[0]) / 0.125, (y - self.eye[1]) / 0.125
        root = np.sqrt(np.maximum(1 - across * across, 0))
        upper = pose.lids * 0.3 * root - (1 - pose.lids) * self.eye[2] * root * np.sqrt(root)
        pupil = np.hypot(across, down + 0.06)
        ball = _mix(_vec(0.08, 0.05, 0.03), _vec(0.45, 0.45, 0.45), _step(pupil, 0.4, 0.5))
        ball *= (_step(pupil, 0.12, 0.24) * (0.45 + 0.55 * _step(down - upper, 0, 0.35)))[
            ..., None
        ]  # pupil, lid's shadow
        skin = skin * (1 - 0.8 * _bump((down - upper) / 0.1) * _step(root, 0, 0.4))[..., None]  # the lashes
        skin = _mix(skin, ball, _step(down - upper, 0, 0.12) * _step(0.3 * root - down, 0, 0.1))
        mouth_y, wide, thick = self.mouth
        root = np.sqrt(np.maximum(1 - (x / wide) ** 2, 0))
        above, below = y - mouth_y + 0.03 * pose.mouth * root, mouth_y - y + 0.1 * pose.mouth * root
        lip = _step(above + 0.7 * thick * root, 0, 0.02) * _step(below + thick * root, 0, 0.025) * _step(root, 0, 0.3)
        red = (0.8 + 0.2 * _step(-below, 0, 0.03) - 0.55 * _bump((y - mouth_y) / 0.01))[..., None]
        skin = _mix(skin, skin * red * _vec(1, 0.62, 0.62), lip)
        inside = _step(above, -0.005, 0.012) * _step(below, -0.005, 0.012) * _step(above + below, 0.01, 0.03)
        albedo[patch] = _mix(skin, _vec(0.04, 0.015, 0.015), inside)
        return albedo

    def draw(self, scene: Array, pose: Pose, light: Light) -> None:
        """Draw the head over a scene (H, W, 3) of linear RGB, in place."""
        turn, reach = np.asarray(cv2.Rodrigues(np.array(pose[:3]))[0], dtype=np.float32), 1.15 * pose.scale
        lit = 0.8 * self.skin * (0.5 * light.key + light.fill + light.ambient)
        for side in (-1, 1):  # the ears; as relief, this far from the axis, they would leave specks at the limb
            x, y, _ = turn @ _vec(side * 0.98 * self.axes[0], 0.08, -0.1) * pose.scale + (pose.x, pose.y, 0)
            cv2.ellipse(scene, ((x, y), (0.2 * pose.scale, 0.36 * pose.scale), 0), lit.tolist(), -1)
        left, top = max(int(pose.x - reach), 0), max(int(pose.y - reach), 0)
        width, height = (min(int(2 * reach), n) // 2 * 2 for n in (scene.shape[1] - left, scene.shape[0] - top))
        column = (np.arange(left, left + width, 2, dtype=np.float32) + (0.5 - pose.x))[:, None] / pose.scale
        row = (np.arange(top, top + height, 2, dtype=np.float32) + (0.5 - pose.y))[:, None, None] / pose.scale
        start, along = (column * turn[0] + row * turn[1]) / self.axes, turn[2] / self.axes
        a, b, c = float(along @ along), np.einsum("ijk,k->ij", start, along), np.einsum("ijk,ijk->ij", start, start)
        radius = np.full_like(b, self.radius.max())
        for _ in range(6):  # |start + z along| = r(direction), a damped fixed point at half resolution
            inside = b * b - a * (c - radius * radius)
            hit = start + ((np.sqrt(np.maximum(inside, 0)) - b) / a)[..., None] * along
            shorter = 1 / np.sqrt(np.einsum("ijk,ijk->ij", hit, hit))
            flat = shorter * np.sqrt(2 / (1 + hit[..., 2] * shorter)) * (0.5 * (TEXELS - 1) / EXTENT)
            u, v = (hit[..., axis] * flat + 0.5 * (TEXELS - 1) for axis in (0, 1))
            radius = 0.4 * radius + 0.6 * cv2.remap(self.radius, u, v, cv2.INTER_LINEAR)
        u, v, inside = (cv2.resize(image, (width, height)) for image in (u, v, inside))
        albedo, normal = (cv2.remap(image, u, v, cv2.INTER_LINEAR) for image in (self._painted(pose), self.normal))
        key = np.array((np.sin(pose.sun), -light.rise, np.cos(pose.sun))) / np.hypot(1, light.rise)
        facing = cv2.transform(normal, np.array((key, (-key[0], 0, 0.6))) @ turn)  # the key light, the fill light
        wrap = _vec(0.30, 0.18, 0.14)  # red light travels further under skin
        lit = light.key * np.maximum((facing[..., :1] + wrap) / (1 + wrap), 0)
        lit += light.fill * np.maximum(facing[..., 1:2], 0) + light.ambient
        area, cover = np.s_[top : top + height, left : left + width], np.clip(0.5 + 0.45 * pose.scale * inside, 0, 1)
        scene[area] = _mix(scene[area], albedo * lit, cover)


def _motion(rng: np.random.Generator, plan: DemoPlan) -> Array:
    """Return one clip's poses: (frames, 9) float64, each row a `Pose`."""
    time = np.arange(plan.frames) / RATE
    rate, phase = rng.uniform(0.5, 3.1, (8, 3, 1)), rng.uniform(0, 2 * np.pi, (8, 3, 1))
    reach = rng.uniform((0.04, 0.08, 0.03, 2, 1, 0, 0.5, 0), (0.13, 0.32, 0.11, 10, 5, 0.04, 1, 0.3))
    waves = reach[:, None] * np.tanh(np.sin(rate * time + phase).sum(axis=1))  # (8, frames)
    pitch, yaw, roll, x, y, zoom, voice, sun = waves
    side, left, top, scale, key = rng.uniform((-0.12, 0.44, 0.43, 0.25, -1.1), (0.12, 0.56, 0.5, 0.33, 1.1))
    x, y, zoom = x + plan.width * left, y + plan.height * top, min(plan.width, plan.height) * scale * (1 + zoom)
    mouth = np.abs(np.sin(np.pi * rng.uniform(2.2, 3.6) * time)) * np.clip(voice + 0.3, 0, 1)
    mouth *= (rng.uniform() < 0.8) * rng.uniform(0.4, 0.9)
    lids = np.clip(1.2 - 10 * np.abs((time + rng.uniform(0, 3)) % rng.uniform(1.5, 4) - 0.12), 0, 1)
    return np.stack([pitch, yaw + side, roll, x, y, zoom, mouth, lids, sun + key], axis=1)


def _backdrop(rng: np.random.Generator, plan: DemoPlan, head: Head, pose: Pose, lit: Array) -> Array:
    """Paint what stays still behind the head: (H, W, 3) linear RGB."""
    hues = np.asarray(rng.uniform(0.05, 0.25, (11, 1)) * rng.uniform(0.6, 1.4, (11, 3)), dtype=np.float32)
    y, x = np.mgrid[: plan.height, : plan.width].astype(np.float32)
    scene, shirt = _mix(hues[0], hues[1], x / plan.width), rng.uniform(0.02, 0.5, 3)
    boxes = (rng.uniform(0, 1, (9, 4)) * (plan.width, plan.height, 0.5 * plan.height, 0.5 * plan.height)).astype(int)
    for box, hue in zip(boxes.tolist(), hues[2:].tolist(), strict=True):
        cv2.rectangle(scene, box, hue, -1)
    scene = cv2.GaussianBlur(scene, (0, 0), rng.uniform(0.8, 6))
    s = pose.scale
    if not head.male and rng.uniform() < 0.75:
        cv2.ellipse(scene, ((pose.x, pose.y + 0.3 * s), (2.1 * s, 2.7 * s), 0), (head.hair * lit).tolist(), -1)
    cv2.ellipse(scene, ((pose.x, pose.y + 2.7 * s), (3.4 * s, 2.9 * s), 0), (shirt * lit).tolist(), -1)
    cv2.ellipse(scene, ((pose.x, pose.y + 0.9 * s), (0.88 * s, 1.3 * s), 0), (head.skin * lit).tolist(), -1)
    shadow = 0.6 * _bump((x - pose.x) / (0.6 * s), (y - pose.y - 0.9 * s) / (0.2 * s))  # of the chin
    return cv2.GaussianBlur(scene * (1 - shadow)[..., None], (0, 0), 0.8)


def _swap(plan: DemoPlan, clip: tuple[int, int], donor: int, motion: Array, light: Light) -> Callable[..., Array]:
    """Draw the chances of one fake; return what makes its frames, (shot, grain, index) to image, in grey levels."""
    rng, head, ranges = _rng(plan, SWAP, *clip, donor), Head(plan, donor), fake_ranges(plan, *clip, donor)
    flawless, poor = np.array(((0.5, 0.09, 0, 0.02, 2, 0, 0.01, 0.1), (2.0, 0.04, 0.12, 0.45, 11, 2.6, 0.1, 1.1)))
    flaws = flawless + (poor - flawless) * rng.uniform(*plan.strength) * rng.uniform(0.6, 1.2, 8)
    soft, feather, clear, unlike, cast, flicker, turned, moved = flaws.tolist()
    size, keep, frames = float(rng.uniform(0.85, 1)), float(rng.uniform()), plan.frames
    tint = cast * rng.standard_normal(3) + flicker * rng.standard_normal((frames, 3))
    motion = motion.copy()  # tracked with slow errors in the angles, quick ones in the place
    motion[:, :3] += turned * np.sin(rng.uniform(0, 6) + np.arange(frames) * rng.uniform(0.02, 0.1))[:, None]
    motion[:, 3:6] += moved * rng.standard_normal((frames, 3))
    motion[:, 8] += 0.2 * rng.standard_normal()

    def swap(shot: Array, grain: Array, index: int) -> Array:
        if not any(start <= index < end for start, end in ranges):
            return shot + grain
        pose = Pose(*motion[index].tolist())
        over, mask = np.square(shot / 255), np.zeros(shot.shape[:2], dtype=np.float32)
        head.draw(over, pose, light)
        over = cv2.GaussianBlur(255 * np.sqrt(over), (0, 0), soft)
        x, y = pose.x + 0.75 * pose.scale * np.sin(pose.yaw), pose.y + (0.3 - 0.75 * np.sin(pose.pitch)) * pose.scale
        oval = ((x, y), (1.12 * size * pose.scale, 1.24 * size * pose.scale), np.degrees(pose.roll))
        cv2.ellipse(mask, oval, 1, -1)
        own, goal = over[mask > 0], shot[mask > 0]  # (N, 3)
        ratio = np.clip(goal.std(axis=0) / own.std(axis=0), 0.6, 1.6)
        over += (1 - unlike) * ((over - own.mean(axis=0)) * ratio + goal.mean(axis=0) - over) + _vec(*tint[index])
        mask = (1 - clear) * cv2.GaussianBlur(mask, (0, 0), feather * pose.scale)
        # What a decoder paints has no grain of its own: some of the camera's is lost under the mask.
        return _mix(shot, over, mask) + _mix(grain, keep * grain, mask)

    return swap


def fake_ranges(plan: DemoPlan, target: int, clip: int, donor: int) -> list[list[int]]:
    """Return the [start, end) frame ranges in which a fake is one: all, or 20 to 70 % of the frames in 1 or 2 parts."""
    rng = _rng(plan, PART, target, clip, donor)
    if rng.uniform() >= plan.partial_share:
        return [[0, plan.frames]]
    count, start = int(rng.integers(-(-plan.frames // 5), plan.frames * 7 // 10 + 1)), int(rng.integers(plan.frames))
    rest = start + count - plan.frames  # what runs over the end goes to the beginning
    return [[0, rest], [start, plan.frames]] if rest > 0 else [[start, start + count]]


def clip_frames(plan: DemoPlan, target: int, clip: int, donors: Sequence[int]) -> Iterator[list[Array]]:
    """Yield, per frame, the real image and each donor's fake: (H, W, 3) uint8 RGB; outside `fake_ranges` the same."""
    rng = _rng(plan, CLIP, target, clip)
    head, motion = Head(plan, target), _motion(rng, plan)
    rise, fill, ambient = rng.uniform((0.1, 0.05, 0.12), (1.2, 0.3, 0.34)).tolist()
    light = Light(rise, fill, ambient, _vec(*rng.uniform(0.55, 0.95) * rng.uniform(0.9, 1.1, 3)))
    lit = 0.6 * light.key + light.fill + light.ambient
    # Exposed for the face, by two thirds of what it lacks: without it detectors miss most of the dark ones.
    level = 255 * np.sqrt((0.7 * lit * head.skin).mean())
    gain = _vec(*rng.uniform(0.95, 1.05, 3)) * float(np.clip((rng.uniform(85, 150) / level) ** 1.3, 0.5, 2.8))
    backdrop = _backdrop(rng, plan, head, Pose(*motion[0].tolist()), lit)
    field = rng.standard_normal((plan.height, plan.width, 3), dtype=np.float32) * float(rng.uniform(1, 4.5))
    blur, shift = rng.uniform(0.3, 1.1), rng.integers(0, plan.height, (plan.frames, 2))
    swaps = [_swap(plan, (target, clip), donor, motion, light) for donor in donors]
    for index in range(plan.frames):
        scene, grain = backdrop.copy(), np.roll(field, shift[index], (0, 1))
        head.draw(scene, Pose(*motion[index].tolist()), light)
        shot = cv2.GaussianBlur(np.minimum(255 * np.sqrt(scene * gain), 255), (0, 0), blur)
        images = [shot + grain, *(swap(shot, grain, index) for swap in swaps)]
        yield [np.clip(image, 0, 255).astype(np.uint8) for image in images]


def _jobs(plan: DemoPlan) -> list[tuple[int, int, list[int], list[str], bool]]:
    """List the real clips: person, number, donors of the fakes, paths (the real one first), is it for testing."""
    tones = [_rng(plan, FACE, person).uniform() for person in range(plan.identities)]
    train, jobs = plan.identities - plan.test_identities, []
    for person in range(plan.identities):
        side = set(range(train) if person < train else range(train, plan.identities)) - {person}
        # Skins too unlike make muddy swaps, in which no face is found.
        near = sorted((abs(tones[other] - tones[person]), other) for other in side)[: max(4, plan.fakes_per_video)]
        for clip in range(plan.videos_per_identity):
            order = _rng(plan, SWAP, person, clip).permutation(len(near))[: plan.fakes_per_video]
            donors = [near[place][1] for place in order]
            fakes = [f"Celeb-synthesis/id{person}_id{donor}_{clip:04d}.mp4" for donor in donors]
            jobs.append((person, clip, donors, [f"Celeb-real/id{person}_{clip:04d}.mp4", *fakes], person >= train))
    train = plan.youtube_real - round(plan.youtube_real * plan.test_identities / max(plan.identities, 1))
    for number in range(plan.youtube_real):
        jobs.append((plan.identities + number, 0, [], [f"YouTube-real/{number:05d}.mp4"], number >= train))
    return jobs


def _make(plan: DemoPlan, person: int, clip: int, donors: list[int], paths: list[Path]) -> int:
    """Write one real clip and the fakes on it as H.264 .mp4."""
    # Without cpu-independent, x264 gives other bytes from run to run, even on one thread.
    options = {"crf": str(plan.crf), "preset": "veryfast", "x264-params": "cpu-independent=1"}
    videos = zip(*clip_frames(plan, person, clip, donors), strict=True)
    for path, images in zip(paths, videos, strict=True):
        path.parent.mkdir(exist_ok=True)
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=RATE, options=options)
            stream.width, stream.height, stream.pix_fmt, stream.thread_count = plan.width, plan.height, "yuv420p", 1
            for image in images:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            container.mux(stream.encode(None))
    return len(paths)


def render(folder: Path, plan: DemoPlan, *, workers: int, progress: Callable[[int, int], None] | None = None) -> None:
    """Write the set under a folder, in Celeb-DF's layout; same plan, same bytes.

    `List_of_testing_videos.txt` has 0 for FAKE and 1 for REAL, as in Celeb-DF; `labels.json` has the ranges of
    each fake's fake frames, [start, end), by path. `progress` gets the numbers of videos made and to make.
    """
    plan.check()
    jobs, listing, done = _jobs(plan), [], 0
    labels: dict[str, list[list[int]]] = {}
    for person, clip, donors, (real, *fakes), test in jobs:
        labels |= {path: fake_ranges(plan, person, clip, donor) for path, donor in zip(fakes, donors, strict=True)}
        listing += [f"1 {real}\n", *(f"0 {path}\n" for path in fakes)] if test else []
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "List_of_testing_videos.txt").write_text("".join(listing))
    (folder / "labels.json").write_text(json.dumps(labels, indent=1) + "\n")
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max(workers, 1), mp_context=spawn, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        made = [pool.submit(_make, plan, *job[:3], [folder / path for path in job[3]]) for job in jobs]
        for future in as_completed(made):
            done += future.result()
            if progress:
                progress(done, len(jobs) + len(labels))
