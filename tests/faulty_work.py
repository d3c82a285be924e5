"""Work of training processes that goes wrong; a module of its own, for a new process has to find it."""

import os

from lightning_fabric import Fabric

from flexunet.errors import DataError


def one_finds_a_fault(fabric: Fabric, culprit: int) -> None:
    """One process cannot do its part, while the others wait for it."""
    if fabric.global_rank == culprit:
        raise DataError("b.png is damaged")
    fabric.barrier()


def aborts(fabric: Fabric, job: None) -> None:
    """Every process ends without a word."""
    os.abort()
