"""Whatever files a data set may hold, no two of them get one key, and a key may name a video."""

import string

from hypothesis import given
from hypothesis import strategies as st

from dualface import key as keys
from dualface.datasets import celebdf, dfd, dfdc, ffpp, folder
from dualface.datasets.dfdc_list import Entry
from dualface.datasets.dfdc_parts import Part
from dualface.label import FAKE, REAL

NUMBER = st.integers(0, 12)
DIGITS = st.text("01", min_size=1, max_size=3)
QUALITY = st.sampled_from(["raw", "c23", "c40"])
CELEBDF = st.one_of(
    st.builds("Celeb-real/id{}_{}.mp4".format, DIGITS, DIGITS),
    st.builds("YouTube-real/{}.mp4".format, DIGITS),
    st.builds("Celeb-synthesis/id{}_id{}_{}.mp4".format, DIGITS, DIGITS, DIGITS),
)
FFPP = st.one_of(
    st.builds("original_sequences/youtube/{}/videos/{:03}.mp4".format, QUALITY, NUMBER),
    st.builds(
        "manipulated_sequences/{}/{}/videos/{:03}_{:03}.mp4".format,
        st.sampled_from(ffpp.METHODS),
        QUALITY,
        NUMBER,
        NUMBER,
    ),
)
SCENE = st.sampled_from(["kitchen", "kitchen_pan", "pan"])
DFD = st.one_of(
    st.builds("original_sequences/actors/{}/videos/{:02}__{}.mp4".format, QUALITY, NUMBER, SCENE),
    st.builds(
        "manipulated_sequences/DeepFakeDetection/{}/videos/{:02}_{:02}__{}__{:08}.mp4".format,
        QUALITY,
        NUMBER,
        NUMBER,
        SCENE,
        NUMBER,
    ),
)
NAME = st.sampled_from(["a", "b", "a-b"]) | st.text(string.ascii_letters + "._- é", min_size=1, max_size=3)
BEFORE = st.sampled_from(["real/", "fake/", "", "real/x/", "real-", "fake-", "real-x-"])
FOLDER = st.builds("{}{}.{}".format, BEFORE, NAME, st.sampled_from(["mp4", "avi", "MP4"]))


def check(videos):
    assert None not in videos
    assert len({video.key for video in videos}) == len({video.path for video in videos}) == len(videos)
    assert all(keys.is_valid(video.key) for video in videos)


@given(st.sets(CELEBDF, min_size=2))
def test_celebdf(paths):
    check([celebdf.parsed(path, 1) for path in paths])


@given(st.sets(FFPP, min_size=2), st.sets(DFD, min_size=2))
def test_ffpp_and_dfd_even_together(paths, others):
    videos = [*(ffpp.parsed(path, 1) for path in paths), *(dfd.parsed(path, 1) for path in others)]
    check(videos)
    people = {dataset: set() for dataset in ("ffpp", "dfd")}
    for video in videos:
        people[video.dataset].update(video.identities)
    assert not people["ffpp"] & people["dfd"]


@given(st.sets(FOLDER, min_size=2))
def test_folder(paths):
    made = [folder.key_of(path) for path in paths]
    assert len(set(made)) == len(made)
    assert all(keys.is_valid(key) for key in made)


CLIP = st.sampled_from(["a", "b", "c", "dfdc_train_part_1", "part_1_a"]).map("{}.mp4".format)
ENTRY = st.builds(Entry, st.sampled_from([REAL, FAKE]), st.none(), st.none() | CLIP)
LISTS = st.dictionaries(CLIP, ENTRY, min_size=1)
PART_NAMES = ["", "dfdc_train_part_1", "dfdc_train_part_11", "train_sample_videos"]


@given(st.dictionaries(st.sampled_from(PART_NAMES), LISTS, min_size=1))
def test_dfdc_and_what_is_made_from_each_other_stays_together(lists):
    parts = [Part(name, name or ".", dict.fromkeys(entries, 1), entries) for name, entries in lists.items()]
    videos = dfdc.videos(parts)
    check(videos)
    person = {video.key: video.identities for video in videos}
    for video in videos:
        if video.source_key in person:
            assert person[video.source_key] == video.identities
