import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dualface.batches import collate, epoch_batches, fitted, valid
from dualface.errors import ShardError
from dualface.windows import Sampling


@given(real=st.integers(1, 60), fake=st.integers(1, 60), batch_size=st.integers(2, 20), fewest=st.integers(0, 10))
def test_each_video_is_dealt_and_each_batch_holds_the_fakes_asked_for(real, fake, batch_size, fewest):
    fewest = min(fewest, batch_size - 1)
    is_fake = np.array([False] * real + [True] * fake)
    batches = epoch_batches(is_fake, batch_size=batch_size, fewest=fewest, rng=np.random.default_rng(0))
    dealt = [number for batch in batches for number in batch]
    assert set(dealt) == set(range(real + fake))
    assert max(map(len, batches)) <= batch_size
    assert max(map(len, batches)) - min(map(len, batches)) <= 1
    if not fewest:
        assert len(dealt) == real + fake
        assert len(batches) == -(-(real + fake) // batch_size)
        return
    assert all(fewest <= sum(is_fake[batch]) < len(batch) for batch in batches)
    assert len(dealt) == max(real, len(batches)) + max(fake, fewest * len(batches))
    turns = np.bincount(dealt)
    assert np.ptp(turns[is_fake]) <= 1
    assert np.ptp(turns[~is_fake]) <= 1


@given(real=st.integers(1, 60), fake=st.integers(1, 60), batch_size=st.integers(2, 10**6), share=st.floats(0, 0.9))
def test_a_batch_larger_than_the_data_repeats_no_more_fakes_than_their_share_takes(real, fake, batch_size, share):
    is_fake = np.array([False] * real + [True] * fake)
    asked = max(1, min(round(share * batch_size), batch_size - 1))
    ways = {"frames": 1, "stride": 1, "flip": False, "seed": 0}
    given_ = fitted(Sampling(batch_size=batch_size, fewest=asked, **ways), is_fake)
    assert 1 <= given_.fewest <= asked
    assert given_.fewest == asked or real < batch_size - asked
    batches = epoch_batches(is_fake, batch_size=batch_size, fewest=given_.fewest, rng=np.random.default_rng(0))
    assert all(sum(is_fake[batch]) >= (asked / batch_size) * len(batch) - 1 for batch in batches if batch_size < 20)
    assert max(map(len, batches)) <= max(real + fake, 11 * real + 1)


def window(key="a", *, count=5, label=0, side=16):
    return key, np.zeros((count, side, side, 3), dtype=np.uint8), np.full(count, label, dtype=np.uint8)


def test_a_batch_is_not_padded_and_masks_what_the_model_pads():
    batch = collate([window(count=4), window("b", count=3, label=1)])
    assert batch.keys == ["a", "b"]
    assert batch.lengths.tolist() == [4, 3]
    assert batch.faces.shape == (7, 16, 16, 3)
    assert batch.faces.dtype == torch.uint8
    assert batch.video_label.tolist() == [0, 1]
    mask = valid(batch.lengths, frames=4)
    assert mask.tolist() == [[True] * 4, [True] * 3 + [False]]
    assert int(mask.sum()) == len(batch.frame_label)


def test_lengths_stay_on_the_cpu_when_a_batch_moves():
    moved = collate([window()]).to(torch.device("meta"))
    assert moved.lengths.tolist() == [5]
    assert {one.device.type for one in (moved.faces, moved.frame_label, moved.video_label)} == {"meta"}


def test_faces_of_two_sizes_are_refused_with_their_videos():
    with pytest.raises(ShardError, match="'a' and 'large' have faces of 16 and 32 px"):
        collate([window(), window("large", side=32)])
