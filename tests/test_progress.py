from dualface import progress


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_a_log_gets_a_line_now_and_then_and_one_at_the_end(capsys):
    clock = Clock()
    with progress.VideoProgress("faces", total=1000, done=400, clock=clock) as shown:
        for number in range(100):
            clock.now += 1.0
            shown.advance("no_face" if number % 50 == 0 else "ok", frames=30)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "faces: 430 of 1,000 videos, 1.00 videos/s, 30 frames/s, 10 min left; 29 ok, 1 no_face"
    assert len(lines) == 4
    assert lines[-1].startswith("faces: 500 of 1,000 videos")


def test_nothing_done_is_nothing_said(capsys):
    with progress.VideoProgress("faces", total=9, done=9):
        pass
    assert capsys.readouterr().err == ""


def test_a_problem_is_a_line_of_its_own(capsys):
    with progress.VideoProgress("faces", total=2) as shown:
        shown.say("a.mp4: no_face: no face in 9 frames")
    assert capsys.readouterr().err == "a.mp4: no_face: no face in 9 frames\n"


def test_a_terminal_gets_a_bar_with_rates_and_outcomes(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with progress.VideoProgress("faces", total=3, clock=Clock()) as shown:
        shown.advance("ok", frames=30)
        shown.say("b.mp4: unreadable: the file is empty")
        shown.advance("unreadable", frames=0)
    said = capsys.readouterr().err
    assert "b.mp4: unreadable: the file is empty\n" in said
    assert "2/3" in said
    assert "frames/s, 1 ok, 1 unreadable" in said
