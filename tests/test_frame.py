import av
import numpy as np
import pytest

from clips import still
from dualface import video
from dualface.frame import Converters, Frame


def picture(form, *, width=160, height=96):
    """A coloured gradient with noise, in a pixel format."""
    rng = np.random.default_rng(0)
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    rgb = np.stack([x % 256, 2 * y % 256, (x + y) % 256], axis=2) + rng.integers(-20, 21, (height, width, 3))
    return av.VideoFrame.from_ndarray(np.clip(rgb, 0, 255).astype(np.uint8), format="rgb24").reformat(format=form)


@pytest.mark.parametrize(
    "form", ["yuv420p", "yuvj420p", "yuv444p", "yuvj444p", "yuv422p", "yuv420p10le", "gray", "rgb24"]
)
@pytest.mark.parametrize("size", [(160, 96), (159, 95), (33, 17)])
def test_a_region_has_the_pixels_of_the_whole_picture(form, size, monkeypatch):
    monkeypatch.setattr("dualface.frame.SMALL", 0)
    width, height = size
    frame = Frame(0, picture(form, width=width, height=height), Converters())
    whole = frame.rgb
    rng = np.random.default_rng(1)
    for _ in range(30):
        side = int(rng.integers(1, min(size) + 1))
        left, top = int(rng.integers(0, width - side + 1)), int(rng.integers(0, height - side + 1))
        part = frame.region(left=left, top=top, right=left + side, bottom=top + side)
        assert np.array_equal(part, whole[top : top + side, left : left + side])


def test_a_region_keeps_the_colours_of_another_matrix_and_range(monkeypatch):
    monkeypatch.setattr("dualface.frame.SMALL", 0)
    made = picture("yuv420p")
    made.colorspace, made.color_range = 1, 2  # BT.709, full range
    frame = Frame(0, made, Converters())
    assert np.array_equal(frame.region(left=40, top=20, right=80, bottom=60), frame.rgb[20:60, 40:80])


@pytest.mark.parametrize("name", ["var_interlaced.mp4", "var_phone_rotmeta90_upright_when_applied.mp4"])
def test_a_region_of_an_interlaced_or_turned_picture_has_its_pixels(shared, name, monkeypatch):
    monkeypatch.setattr("dualface.frame.SMALL", 0)
    with video.opened(shared / "data" / "odd" / name, limits=video.Limits(pixels=10**7, frames=99)) as clip:
        frame = next(iter(clip))
    assert np.array_equal(frame.region(left=41, top=20, right=82, bottom=61), frame.rgb[20:61, 41:82])


def test_a_frame_tells_its_shape_and_what_it_takes():
    frame = Frame(3, picture("yuv420p"), Converters())
    assert (frame.index, frame.shape) == (3, (96, 160))
    assert 96 * 160 * 3 // 2 <= frame.bytes < 96 * 160 * 3
    assert frame.rgb.shape == (96, 160, 3)
    assert frame.thumbnail.shape == (36, 64)


def test_a_reduced_picture_is_the_mean_of_its_pixels():
    rgb = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    mean = rgb.reshape(32, 2, 48, 2, 3).mean(axis=(1, 3))
    small = still(rgb).reduced(halvings=1, colour=True)
    assert small.shape == (32, 48, 3)
    assert np.abs(small - mean).mean() < 4
    grey = still(rgb).reduced(halvings=0, colour=False)
    assert np.abs(grey - rgb @ [0.299, 0.587, 0.114]).max() < 3
    assert still(rgb).reduced(halvings=9, colour=False).shape == (1, 1)
