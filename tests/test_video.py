from fractions import Fraction

import av
import numpy as np
import pytest

from clips import grey_steps, write_clip
from dualface import video
from dualface.errors import VideoRefused, VideoUnreadable

LIMITS = video.Limits(pixels=2**26, frames=1000)


def read(path, *, limits=LIMITS):
    with video.opened(path, limits=limits) as clip:
        return clip, [(frame.index, frame.rgb) for frame in clip]


def numbers(frames):
    """The frame numbers that are drawn into frames of `grey_steps`."""
    return [round((float(rgb.mean()) - 20) / 4) for _, rgb in frames]


def test_frames_come_in_order_with_their_numbers(tmp_path):
    clip, frames = read(write_clip(tmp_path / "a.mp4", grey_steps(12)))
    assert [index for index, _ in frames] == numbers(frames) == list(range(12))
    assert frames[0][1].shape == (96, 128, 3)
    assert frames[0][1].dtype == np.uint8
    assert (clip.frames, clip.width, clip.height, clip.fps, clip.damage) == (12, 128, 96, 25.0, "")


def test_channels_are_red_green_blue(tmp_path):
    _, frames = read(write_clip(tmp_path / "a.mp4", [np.full((64, 64, 3), (200, 100, 20), dtype=np.uint8)]))
    assert np.abs(frames[0][1].astype(int) - (200, 100, 20)).max() <= 4


def test_a_quarter_turn_in_the_container_is_applied(tmp_path):
    rgb = np.zeros((64, 96, 3), dtype=np.uint8)
    rgb[:32, :48] = 255  # top left, which a clockwise quarter turn brings to the top right
    path = write_clip(tmp_path / "a.mp4", [rgb])
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 44
    turn = np.array([0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30], dtype=">i4")
    content[matrix : matrix + 36] = turn.tobytes()
    path.write_bytes(content)
    clip, [(_, shown)] = read(path)
    assert (clip.width, clip.height) == (64, 96)
    assert shown[:48, 32:].mean() > 200
    assert shown[:48, :32].mean() < 50


def test_smeared_frames_are_left_out_until_the_next_key_frame(tmp_path):
    path = write_clip(tmp_path / "a.mp4", grey_steps(40), key_every=10, movflags="faststart")
    content = bytearray(path.read_bytes())
    start = content.index(b"mdat") + 8
    middle = start + (len(content) - start) * 2 // 5
    content[middle : middle + 60] = bytes(60)
    path.write_bytes(content)
    clip, frames = read(path)
    assert 20 <= clip.frames < 40
    assert clip.frames + clip.spoiled + clip.lost == 40
    assert clip.damage == f"decoded {clip.frames} of 40 frames"
    assert [index for index, _ in frames] == numbers(frames)
    assert frames[-1][0] == 39


@pytest.mark.parametrize(("name", "options"), [("a.mkv", {}), ("a.mp4", {"movflags": "faststart"})])
def test_a_file_that_ends_early_says_so(tmp_path, name, options):
    path = write_clip(tmp_path / name, grey_steps(50), **options)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    clip, frames = read(path)
    assert 10 < len(frames) < 40
    assert "the file ends after" in clip.damage
    assert "of 2.0 s" in clip.damage


@pytest.mark.parametrize("ending", ["mkv", "webm"])
def test_a_hole_that_the_reader_passes_over_is_told_and_does_not_shift_the_frame_numbers(tmp_path, ending):
    path = write_clip(tmp_path / "a.mkv", grey_steps(50), key_every=5, cluster_time_limit="200")
    path = path.rename(path.with_suffix(f".{ending}"))
    content = bytearray(path.read_bytes())
    start, end = len(content) // 3, len(content) * 2 // 3
    content[start:end] = bytes(end - start)
    path.write_bytes(content)
    clip, frames = read(path)
    assert 15 < clip.frames < 45
    assert f"decoded {clip.frames} of about " in clip.damage
    assert [index for index, _ in frames] == pytest.approx(numbers(frames), abs=1)
    assert frames[-1][0] == pytest.approx(49, abs=1)


@pytest.mark.parametrize("ending", ["mp4", "mkv", "webm", "ts", "flv", "avi"])
def test_a_pause_of_a_variable_rate_is_no_damage(tmp_path, ending):
    path = tmp_path / f"a.{'mkv' if ending == 'webm' else ending}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "ultrafast", "bf": "0"})
        stream.height, stream.width, stream.pix_fmt = 96, 128, "yuv420p"
        for number, rgb in enumerate(grey_steps(20)):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.pts, frame.time_base = number + 50 * (number >= 10), Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    clip, frames = read(path.rename(path.with_suffix(f".{ending}")))
    assert (clip.damage, [index for index, _ in frames]) == ("", list(range(20)))


def test_stopping_early_is_no_damage(tmp_path):
    with video.opened(write_clip(tmp_path / "a.mkv", grey_steps(50)), limits=LIMITS) as clip:
        next(iter(clip))
        assert (clip.frames, clip.damage) == (1, "")


@pytest.mark.parametrize("name", ["http:--host.mp4", "concat:a|b.mp4", "a%03d.mp4", "-i.mp4", "видео 1.mp4"])
def test_names_are_only_names(tmp_path, name):
    assert len(read(write_clip(tmp_path / name, grey_steps(3)))[1]) == 3


@pytest.mark.parametrize("text", ["#EXTM3U\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n", "ffconcat version 1.0\nfile '{}'\n"])
def test_a_playlist_opens_nothing(tmp_path, text):
    target = write_clip(tmp_path / "target.mp4", grey_steps(3))
    playlist = tmp_path / "list.mp4"
    playlist.write_text(text.format(target.name))
    with pytest.raises(VideoUnreadable, match="not a video"):
        read(playlist)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"hello " * 500, "not a video"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" * 90, "not a video"),
    ],
)
def test_what_is_no_video_is_refused_with_a_reason(tmp_path, content, reason):
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(VideoUnreadable, match=reason):
        read(path)


def test_a_folder_is_refused_and_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(VideoUnreadable, match="not a regular file"):
        read(tmp_path)
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "none.mp4")


def test_a_video_of_too_large_frames_is_refused_before_one_is_decoded(tmp_path):
    path = write_clip(tmp_path / "a.mp4", grey_steps(3))
    with pytest.raises(VideoRefused, match=r"frames of 128 x 96, more than faces.limit_megapixels allows .4,096 px."):
        read(path, limits=video.Limits(pixels=64 * 64, frames=9))


def test_a_video_of_too_many_frames_is_refused_and_of_as_many_as_allowed_is_not(tmp_path):
    path = write_clip(tmp_path / "a.mp4", grey_steps(12))
    assert len(read(path, limits=video.Limits(pixels=2**26, frames=12))[1]) == 12
    with pytest.raises(VideoRefused, match="more than 11 frames"):
        read(path, limits=video.Limits(pixels=2**26, frames=11))


def test_thumbnails_tell_scenes_apart(tmp_path):
    with video.opened(write_clip(tmp_path / "a.mp4", grey_steps(30)), limits=LIMITS) as clip:
        frames = list(clip)
    assert frames[0].thumbnail.shape == (36, 64)
    assert frames[0].shape == (96, 128)
    assert float(frames[29].thumbnail.mean()) - float(frames[0].thumbnail.mean()) == pytest.approx(116, abs=4)


@pytest.mark.parametrize(
    ("name", "frames", "shape"),
    [
        ("odd/var_av1.mp4", 45, (480, 640, 3)),
        ("odd/var_vfr.mp4", 47, (480, 640, 3)),
        ("odd/var_interlaced.mp4", 45, (480, 640, 3)),
        ("odd/var_hevc_10bit.mp4", 90, (480, 640, 3)),
        ("odd/var_rotmeta_90.mp4", 90, (640, 480, 3)),
        ("odd/var_odd_641x479_444.mp4", 90, (479, 641, 3)),
        ("bad/noface_33x17.mp4", 25, (17, 33, 3)),
    ],
)
def test_unusual_clips_decode_in_full(shared, name, frames, shape):
    clip, decoded = read(shared / "data" / name)
    assert (len(decoded), clip.damage) == (frames, "")
    assert {rgb.shape for _, rgb in decoded} == {shape}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("zero_byte.mp4", "empty"),
        ("text_renamed.mp4", "not a video"),
        ("random_bytes.mp4", "not a video"),
        ("jpeg_renamed.mp4", "not a video"),
        ("truncated_60pct_no_moov.mp4", "index is missing"),
        ("zero_frames.mp4", "no video stream"),
        ("audio_only.mp4", "no video stream"),
        ("unknown_codec_fourcc.mp4", "no decoder"),
    ],
)
def test_bad_clips_are_refused_with_a_reason(shared, name, reason):
    with pytest.raises(VideoUnreadable, match=reason):
        read(shared / "data" / "bad" / name)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("corrupt_mdat_middle.mp4", "decoded 14 of 90 frames"),
        ("truncated_50pct.mkv", "the file ends after 1.2 of 3.0 s"),
    ],
)
def test_damaged_clips_tell_how_much_of_them_decoded(shared, name, damage):
    assert read(shared / "data" / "bad" / name)[0].damage == damage
