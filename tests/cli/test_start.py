"""Ctrl-C ends the command in one line from its first moment on."""

import subprocess
import sys

import pytest

INTERRUPT_WHILE_LOADING = """
import os, signal, sys

signal.signal(signal.SIGINT, signal.default_int_handler)  # the background jobs of a shell ignore it

class Interrupting:
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
sys.argv = ["flexunet", *{arguments!r}]
from flexunet.cli import main
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to oneself there")
@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        ("typer", ["--help"]),
        ("flexunet.cli.predict", ["--help"]),
        ("flexunet.prediction", ["predict", "a.safetensors", "b.png", "--out", "c"]),
    ],
)
def test_ctrl_c_while_modules_are_loaded_is_one_line_and_exit_code_130(
    module: str, arguments: list[str]
) -> None:
    code = INTERRUPT_WHILE_LOADING.format(module=module, arguments=arguments)
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (130, "Interrupted.\n")
