"""Progress is one line a minute, and in a terminal a bar that leaves room for other output."""

import os
import subprocess
import sys

import pytest

from flexunet import progress
from flexunet.progress import Progress, duration, show_progress

STAGES = """
from flexunet.progress import Progress
shown = Progress()
for done in range(4):
    shown.update("reading [x]", done, 3)
shown.update("training", 1, 9, rate=12.5, unit="images", note="loss 0.5")
shown.line("a line [above]")
shown.close()
print("end")
"""


def test_lines_say_what_is_done_and_what_is_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY_SECONDS", 0.0)
    shown = Progress()
    shown.update("training", 4, 10)
    shown.update("training", 6, 10, rate=12.5, unit="images", note="epoch 1/2, loss 0.5000")
    shown.close()
    first, second = capsys.readouterr().err.splitlines()
    assert first == "training: 4 of 10"
    assert second.startswith("training: 6 of 10, epoch 1/2, loss 0.5000, 12.5 images/s, ")
    assert second.endswith(" s left")


def test_nothing_is_said_before_a_minute_is_over(capsys: pytest.CaptureFixture[str]) -> None:
    with show_progress() as tell:
        for done in range(100):
            tell("reading", done, 100)
    assert capsys.readouterr().err == ""


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals there")
def test_a_terminal_gets_bars_one_after_the_other() -> None:
    import pty

    master, slave = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    command = [sys.executable, "-c", STAGES]
    subprocess.run(command, stderr=slave, stdout=slave, env=environment, check=True, timeout=60)
    os.close(slave)
    text = os.read(master, 1 << 16).decode()
    for part in ("reading [x]", "3/3", "1/9", "loss 0.5", "a line [above]", "end"):
        assert part in text
    assert text.index("3/3") < text.index("1/9") < text.rindex("end")


def test_durations_as_people_say_them() -> None:
    assert [duration(value) for value in (3.4, 89, 700, 11_100)] == ["3 s", "89 s", "12 min", "3 h 05 min"]
