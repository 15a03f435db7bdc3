import threading

import pytest

from dualface.ahead import ahead


def test_items_come_in_order():
    assert list(ahead(iter(range(50)), count=3)) == list(range(50))
    assert list(ahead(iter([None, 0]), count=3)) == [None, 0]
    assert list(ahead(iter([]), count=3)) == []


def test_no_more_is_taken_than_may_be_ahead():
    taken = []
    items = ahead((taken.append(number) or number for number in range(50)), count=3)
    for number in items:
        assert len(taken) <= number + 4


def test_what_breaks_is_raised_in_its_turn():
    def items():
        yield 1
        raise ValueError("broken")

    given = ahead(items(), count=5)
    assert next(given) == 1
    with pytest.raises(ValueError, match="broken"):
        next(given)


def test_leaving_early_ends_the_thread():
    before = threading.active_count()
    items = ahead(iter(range(50)), count=3)
    next(items)
    items.close()
    assert threading.active_count() == before
