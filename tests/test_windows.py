from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import make_track
from dualface.windows import Sampling, draw, to_keep, windows

OVERLAPS = st.sampled_from([0, 0.1, 0.5, 0.9])


@given(count=st.integers(1, 400), frames=st.integers(1, 40), stride=st.integers(1, 9), overlap=OVERLAPS)
def test_windows_cover_every_face_and_keep_their_shape(count, frames, stride, overlap):
    blocks = windows(count, frames=frames, stride=stride, overlap=overlap)
    flat = [window for block in blocks for window in block]
    assert set(np.concatenate(flat).tolist()) == set(range(count))
    for window in flat:
        assert 1 <= len(window) <= frames
        assert len(window) == 1 or set(np.diff(window)) == {min(stride, -(-count // frames))}
    if len(blocks) > 1:
        assert all(len(window) == frames for window in flat)


@given(count=st.integers(1, 400), frames=st.integers(1, 40), stride=st.integers(1, 9), overlap=OVERLAPS)
def test_blocks_overlap_by_their_share_and_the_last_is_full(count, frames, stride, overlap):
    blocks = [np.sort(np.concatenate(one)) for one in windows(count, frames=frames, stride=stride, overlap=overlap)]
    whole = frames * min(stride, -(-count // frames))
    hops = np.diff([block[0] for block in blocks])
    assert (hops[:-1] == max(1, round(whole * (1 - overlap)))).all()
    assert (hops > 0).all()
    assert (hops[-1:] <= max(1, round(whole * (1 - overlap)))).all()
    if len(blocks) > 1:
        assert {len(block) for block in blocks} == {whole}
    else:
        assert count <= whole


def test_stride_one_is_the_papers_first_frames():
    assert windows(300, frames=300, stride=1, overlap=0.5)[0][0].tolist() == list(range(300))
    assert windows(450, frames=300, stride=1, overlap=0)[0][0].tolist() == list(range(300))
    assert windows(450, frames=300, stride=1, overlap=0)[1][0].tolist() == list(range(150, 450))


def test_a_frame_late_in_one_window_is_early_in_another():
    firsts = [block[0][0] for block in windows(900, frames=300, stride=1, overlap=0.5)]
    assert firsts == [0, 150, 300, 450, 600]


def sampling(*, frames=5, stride=2, flip=False, batch_size=4, fewest=True, seed=0):
    return Sampling(frames=frames, stride=stride, flip=flip, batch_size=batch_size, fewest=fewest, seed=seed)


LONG = make_track("a", count=10)


def drawn(track=LONG, *, epoch=1, **changes):
    return draw(track, sampling(**changes), label=int(track.labels.any()), epoch=epoch, visit=(0, 0))


def test_a_window_is_a_view_of_the_video_and_the_same_each_time():
    key, faces, frame_label = drawn()
    assert key == "a"
    assert faces.shape == (5, 16, 16, 3)
    assert frame_label.tolist() == [0] * 5
    possible = [LONG.faces[chosen] for chosen in windows(10, frames=5, stride=2, overlap=0)[0]]
    assert any(np.array_equal(faces, one) for one in possible)
    assert np.array_equal(faces, drawn()[1])


def test_windows_change_with_the_epoch():
    assert len({drawn(epoch=epoch)[1].tobytes() for epoch in range(20)}) == 2  # stride 2 has two phases


def test_windows_come_from_all_of_a_long_video():
    assert len({drawn(epoch=epoch, frames=2, stride=1)[1].tobytes() for epoch in range(60)}) == 5


def test_a_fakes_window_holds_a_fake_frame_where_one_can():
    partial = make_track("a", count=40, fake=True)
    partial.labels[:30] = 0
    assert all(drawn(partial, epoch=epoch, stride=1)[2].any() for epoch in range(50))


def test_flip_mirrors_some_whole_windows():
    plain = [drawn(epoch=epoch, stride=1, frames=10)[1] for epoch in range(20)]
    mirrored = [drawn(epoch=epoch, stride=1, frames=10, flip=True)[1] for epoch in range(20)]
    same = [np.array_equal(one, other) for one, other in zip(plain, mirrored, strict=True)]
    swapped = [np.array_equal(one[:, :, ::-1], other) for one, other in zip(plain, mirrored, strict=True)]
    assert all(one != other for one, other in zip(same, swapped, strict=True))
    assert 0 < sum(same) < 20


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_share_of_the_real_windows_becomes_fakes_and_the_rest_stays(share):
    sampling = Sampling(frames=4, stride=1, flip=True, batch_size=4, fewest=1, seed=0, self_blend=share)
    plain = replace(sampling, self_blend=0.0)
    blended = 0
    for number in range(200):
        track = make_track("k", count=6, seed=number % 3)
        _, faces, label = draw(track, sampling, label=0, epoch=1, visit=(number, 0))
        _, before, _ = draw(track, plain, label=0, epoch=1, visit=(number, 0))
        assert len(set(label.tolist())) == 1
        assert (label[0] == 1) == (not np.array_equal(faces, before))
        blended += int(label[0])
    assert share - 0.1 < blended / 200 < share + 0.1


def test_fakes_are_not_blended():
    sampling = Sampling(frames=4, stride=1, flip=False, batch_size=4, fewest=1, seed=0, self_blend=0.9)
    track = make_track("k", count=6, fake=True)
    for number in range(20):
        _, faces, _ = draw(track, sampling, label=1, epoch=1, visit=(number, 0))
        assert np.shares_memory(faces, track.faces) or any(np.array_equal(faces[0], one) for one in track.faces)


@pytest.mark.parametrize("fewest", [0, 1])
def test_a_batch_keeps_a_real_window_where_all_would_be_blended_and_it_needs_one(fewest):
    sampling = Sampling(frames=4, stride=1, flip=True, batch_size=4, fewest=fewest, seed=0, self_blend=0.6)
    track = make_track("k", count=6)
    needed = 0
    for first in range(0, 300, 3):
        reals = [(first, 0), (first + 1, 0), (first + 2, 1)]
        kept = to_keep(reals, sampling, epoch=2)
        drawn = [draw(track, sampling, label=0, epoch=2, visit=one, plain=one == kept) for one in reals]
        blended = [draw(track, sampling, label=0, epoch=2, visit=one)[2][0] for one in reals]
        assert (kept == reals[0]) == (fewest > 0 and all(blended))
        assert fewest == 0 or any(label[0] == 0 for _, _, label in drawn)
        needed += all(blended)
    assert needed > 5


def test_without_real_windows_none_is_kept():
    sampling = Sampling(frames=4, stride=1, flip=True, batch_size=4, fewest=1, seed=0, self_blend=0.6)
    assert to_keep([], sampling, epoch=1) is None
