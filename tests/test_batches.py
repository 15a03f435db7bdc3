import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from conftest import make_track, write_tracks
from dualface.batches import EpochSampler, TrainingWindows, collate, epoch_batches, valid, windows
from dualface.shards.read import Shards


@given(count=st.integers(1, 400), frames=st.integers(1, 40), stride=st.integers(1, 9))
def test_windows_cover_every_face_and_keep_their_shape(count, frames, stride):
    blocks = windows(count, frames=frames, stride=stride)
    flat = [window for block in blocks for window in block]
    assert set(np.concatenate(flat).tolist()) == set(range(count))
    for window in flat:
        assert 1 <= len(window) <= frames
        assert len(window) == 1 or set(np.diff(window)) == {min(stride, -(-count // frames))}
    if len(blocks) > 1:
        assert all(len(window) == frames for window in flat)


def test_stride_one_is_the_papers_first_frames():
    assert windows(300, frames=300, stride=1)[0][0].tolist() == list(range(300))
    assert windows(450, frames=300, stride=1)[0][0].tolist() == list(range(300))
    assert windows(450, frames=300, stride=1)[1][0].tolist() == list(range(150, 450))


@given(real=st.integers(1, 60), fake=st.integers(1, 60), batch_size=st.integers(2, 20), both=st.booleans())
def test_each_video_is_dealt_and_each_batch_holds_both_classes(real, fake, batch_size, both):
    is_fake = np.array([False] * real + [True] * fake)
    batches = epoch_batches(is_fake, batch_size=batch_size, both=both, rng=np.random.default_rng(0))
    dealt = [number for batch in batches for number in batch]
    assert set(dealt) == set(range(real + fake))
    assert max(map(len, batches)) <= batch_size
    if both:
        assert all(0 < sum(is_fake[batch]) < len(batch) for batch in batches)
        assert len(dealt) == max(real, len(batches)) + max(fake, len(batches))
    else:
        assert len(dealt) == real + fake
        assert len(batches) == -(-(real + fake) // batch_size)
    assert max(map(len, batches)) - min(map(len, batches)) <= 1


def test_epochs_differ_and_repeat_from_the_seed():
    sampler = EpochSampler([0, 1] * 20, batch_size=8, both=True, seed=3)
    again = EpochSampler([0, 1] * 20, batch_size=8, both=True, seed=3)
    first = list(sampler)
    assert first == list(again)
    sampler.epoch = again.epoch = 1
    assert list(sampler) == list(again)
    assert [n for batch in sampler for _, n in batch] != [n for batch in first for _, n in batch]
    assert len(sampler) == len(first)


@pytest.fixture
def shards(tmp_path):
    tracks = [make_track("a", count=10), make_track("b", count=3, fake=True, seed=1)]
    write_tracks(tmp_path, tracks, shard_bytes=10**9)
    return Shards(tmp_path)


def windows_of(shards, *, flip=False, frames=5, stride=2):
    return TrainingWindows(shards, ["a", "b"], [0, 1], frames=frames, stride=stride, flip=flip, seed=0)


def test_a_window_is_a_view_of_the_video_and_the_same_each_time(shards):
    key, faces, frame_label = windows_of(shards)[(1, 0)]
    assert key == "a"
    assert faces.shape == (5, 16, 16, 3)
    assert frame_label.tolist() == [0] * 5
    possible = [shards.read("a").faces[chosen] for chosen in windows(10, frames=5, stride=2)[0]]
    assert any(np.array_equal(faces, one) for one in possible)
    assert np.array_equal(faces, windows_of(shards)[(1, 0)][1])


def test_windows_change_with_the_epoch(shards):
    firsts = {windows_of(shards)[(epoch, 0)][1].tobytes() for epoch in range(20)}
    assert len(firsts) == 2  # stride 2 has two phases


def test_windows_come_from_all_of_a_long_video(shards):
    data = windows_of(shards, frames=2, stride=1)
    firsts = {data[(epoch, 0)][1].tobytes() for epoch in range(60)}
    assert len(firsts) == 5


def test_a_fakes_window_holds_a_fake_frame_where_one_can(tmp_path):
    partial = make_track("a", count=40, fake=True)
    partial.labels[:30] = 0
    write_tracks(tmp_path, [partial], shard_bytes=10**9)
    data = TrainingWindows(Shards(tmp_path), ["a"], [1], frames=5, stride=1, flip=False, seed=0)
    assert all(data[(epoch, 0)][2].any() for epoch in range(50))


def test_flip_mirrors_some_whole_windows(shards):
    plain, mirrored = windows_of(shards, stride=1, frames=10), windows_of(shards, stride=1, frames=10, flip=True)
    same = [np.array_equal(plain[(epoch, 0)][1], mirrored[(epoch, 0)][1]) for epoch in range(20)]
    swapped = [np.array_equal(plain[(epoch, 0)][1][:, :, ::-1], mirrored[(epoch, 0)][1]) for epoch in range(20)]
    assert all(one != other for one, other in zip(same, swapped, strict=True))
    assert 0 < sum(same) < 20


def test_a_batch_is_not_padded_and_masks_what_the_model_pads(shards):
    data = windows_of(shards, frames=4)
    batch = collate([data[(0, 0)], data[(0, 1)]])
    assert batch.keys == ["a", "b"]
    assert batch.lengths.tolist() == [4, 3]
    assert batch.faces.shape == (7, 16, 16, 3)
    assert batch.faces.dtype == torch.uint8
    assert batch.video_label.tolist() == [0, 1]
    mask = valid(batch.lengths, frames=4)
    assert mask.tolist() == [[True] * 4, [True] * 3 + [False]]
    assert int(mask.sum()) == len(batch.frame_label)
