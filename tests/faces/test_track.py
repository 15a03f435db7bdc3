import numpy as np

from dualface.faces import track

LEFT, RIGHT = (10, 10, 50, 50), (150, 10, 190, 50)
PALE, DARK = (220, 190, 170), (90, 60, 40)


def box(left, top=10, side=40):
    return np.array([left, top, left + side, top + side], dtype=np.int32)


def follow(*sightings):
    """Link frames, each a list of `(box, colour)`; a frame is told by its place."""
    tracks = []
    for index, faces in enumerate(sightings):
        boxes = [place for place, _ in faces]
        for (place, colour), one in zip(faces, track.link(tracks, index, boxes), strict=True):
            one.see(index, place)
            one.keep(track.Cut(index, place, crop=0), np.full((16, 16, 3), colour, dtype=np.uint8))
    return tracks


def frames_of(tracks):
    return sorted(index for one in track.main(tracks) for index in one.index)


def test_a_moving_face_is_one_track():
    assert len(follow(*[[(box(10 + 15 * i), PALE)] for i in range(20)])) == 1


def test_two_people_keep_their_tracks_whatever_the_order_of_detections():
    pair = [(box(10), PALE), (box(150, side=50), DARK)]
    tracks = follow(*[pair if i % 2 else pair[::-1] for i in range(10)])
    assert [len(one.index) for one in tracks] == [10, 10]
    assert {int(cut.box[0]) for one in track.main(tracks) for cut in one.cuts} == {150}


def test_the_main_person_is_not_swapped_for_another_while_hog_loses_them():
    both, other = [(box(10, side=60), PALE), (box(150), DARK)], [(box(150), DARK)]
    tracks = follow(*[both] * 10, *[other] * 12, *[both] * 10)
    assert frames_of(tracks) == [*range(10), *range(22, 32)]


def test_two_who_look_the_same_are_told_apart_when_seen_together():
    both, other = [(box(10, side=60), PALE), (box(150), PALE)], [(box(150), PALE)]
    tracks = follow(*[both] * 10, *[other] * 10)
    assert frames_of(tracks) == list(range(10))


def test_a_face_that_is_lost_waits_and_its_reach_grows():
    tracks = follow([(box(10), PALE)], *[[]] * 8, [(box(42), PALE)])
    assert len(tracks) == 1
    assert len(follow([(box(10), PALE)], [(box(42), PALE)])) == 2


def test_a_lone_face_that_jumps_does_not_lose_the_rest_of_the_clip():
    tracks = follow(*[[(box(10), PALE)]] * 10, *[[]] * 3, *[[(box(200), PALE)]] * 10)
    assert len(tracks) == 2
    assert frames_of(tracks) == [*range(10), *range(13, 23)]


def test_after_a_cut_to_someone_else_the_main_person_stays():
    tracks = follow(*[[(box(10), PALE)]] * 10, *[[(box(200), DARK)]] * 9, *[[(box(10), PALE)]] * 5)
    assert frames_of(tracks) == [*range(10), *range(19, 24)]


def test_single_false_alarms_are_not_joined():
    tracks = follow(*[[(box(10), PALE)]] * 10, [(box(200), PALE)], *[[(box(10), PALE)]] * 3)
    assert 10 not in frames_of(tracks)


def test_the_main_person_has_the_largest_total_area():
    large_but_short = [[(box(10), PALE), (box(150, side=80), DARK)]] * 2
    tracks = follow(*large_but_short, *[[(box(10), PALE)]] * 20)
    assert frames_of(tracks) == list(range(22))


def test_false_alarms_do_not_pile_up_and_do_not_push_out_who_is_seen():
    noise = [[(box(60 * i, top=300 + 60 * (i % 50)), DARK)] for i in range(100)]
    tracks = follow(*[[(box(10, side=41), PALE), *one] for one in noise])
    assert len(tracks) <= track.MOST_TRACKS
    assert frames_of(tracks) == list(range(100))


def test_people_come_by_their_total_area_each_with_the_tracks_that_continue_theirs():
    trio = [(box(10, side=60), PALE), (box(150, side=50), DARK), (box(300), (20, 90, 20))]
    tracks = follow(*[trio] * 10, *[[]] * 40, *[[(box(600), PALE)]] * 10)
    found = track.people(tracks, most=2)
    assert [sorted(index for one in person for index in one.index) for person in found] == [
        [*range(10), *range(50, 60)],
        [*range(10)],
    ]
    assert len(track.people(tracks, most=9)) == 3


def test_a_track_of_which_nothing_was_cut_yet_is_nobody_s():
    tracks = follow(*[[(box(10), PALE)]] * 10, *[[]] * 30, *[[(box(400), PALE)]] * 6)
    tracks[1].colours[:] = 0
    assert len(track.main(tracks)) == 1
