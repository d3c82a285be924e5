"""Small runs on twelve real pictures of three counties."""

import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

BIJIE = Path(__file__).parents[1] / "data" / "studies" / "bijie"
WriteRun = Callable[..., Path]
RUN = """
[data]
root = "{root}"
size = [32, 32]

[model]
architecture = "flexunet"
base_filters = 4
num_layers = 2

[train]
epochs = {epochs}
batch_size = 4
precision = "32"
accelerator = "cpu"
threads = 1
learning_rate = 0.01
ema = 0.0

[output]
dir = "runs/run"
"""


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pictures in a folder of their own, as their cache goes beside them; test/ must not be opened."""
    root = tmp_path_factory.mktemp("studies") / "bijie"
    shutil.copytree(BIJIE, root)
    for kind in ("images", "masks"):
        (root / "test" / kind).mkdir(parents=True)
        (root / "test" / kind / "broken.png").write_bytes(b"no picture")
    return root


@pytest.fixture
def write_run(dataset: Path, tmp_path: Path) -> WriteRun:
    """Writes run.toml: `more` is TOML behind the sections of a small run."""

    def write(more: str = "", epochs: int = 2, name: str = "run.toml") -> Path:
        path = tmp_path / name
        text = RUN.format(root=dataset.as_posix(), epochs=epochs)
        path.write_text(f"{text}\n{more}", encoding="utf-8")
        return path

    return write


@pytest.fixture
def interrupt_when() -> Callable[[Path], object]:
    """A context in which Ctrl-C comes as soon as a file is there."""

    @contextmanager
    def interrupting(path: Path) -> Iterator[None]:
        over = threading.Event()

        def look() -> None:
            while not over.is_set():
                if path.exists():
                    os.kill(os.getpid(), signal.SIGINT)
                    return
                time.sleep(0.002)

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    return interrupting
