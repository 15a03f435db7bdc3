import numpy as np
import pytest

from clips import still
from dualface.faces import crop


def square(*box, width=100, height=80):
    return crop.square(np.array(box), crop_scale=1.3, width=width, height=height)


def test_a_crop_is_a_larger_square_about_the_centre_of_the_box():
    assert square(40, 30, 60, 50) == (37, 27, 26)
    assert square(45, 30, 55, 50) == (37, 27, 26)  # of the longer side


@pytest.mark.parametrize(
    ("box", "place"),
    [((0, 0, 20, 20), (0, 0, 26)), ((85, 65, 105, 85), (74, 54, 26)), ((-30, 30, -10, 50), (0, 27, 26))],
)
def test_near_an_edge_the_square_is_shifted_inside_and_keeps_its_side(box, place):
    assert square(*box) == place


def test_a_face_larger_than_the_picture_gives_the_largest_square():
    assert square(0, -10, 100, 90) == (10, 0, 80)


@pytest.mark.parametrize("input_size", [16, 26, 64])
def test_what_is_inside_the_square_is_what_comes_out(input_size):
    rgb = np.zeros((80, 100, 3), dtype=np.uint8)
    rgb[27:53, 37:63] = (250, 120, 10)
    face = crop.cut(still(rgb), np.array([40, 30, 60, 50]), crop_scale=1.3, input_size=input_size)
    assert face.shape == (input_size, input_size, 3)
    assert (face == (250, 120, 10)).all()


def test_shrinking_averages():
    rgb = np.zeros((80, 80, 3), dtype=np.uint8)
    rgb[:, ::2] = 200
    face = crop.cut(still(rgb), np.array([0, 0, 80, 80]), crop_scale=1.3, input_size=20)
    assert (face == 100).all()
