"""From normalised images to probabilities: the network made ready for prediction, and nothing else."""

from __future__ import annotations

import copy
import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..nets import FeatureTap, has_features, probabilities
from ..nets.resunet import ConvNorm
from .compute import Compute


class NetworkCall:
    """Normalised images float32 (B, C, H, W) to probabilities float32 (B, K, H, W), both on the CPU.

    On a CPU the images of a batch pass one by one: oneDNN splits its sums differently for different batch
    sizes (measured: up to 4e-8 in a logit), and one by one no image can change another one's result. On a
    GPU the batch passes at once, and its size may change the rounding.
    """

    def __init__(self, network: nn.Module, compute: Compute, *, own: bool = False) -> None:
        """`own`: the network is nobody else's and may be changed; otherwise it is left as it is.

        A network that is not owned may share its weights: train it further and this call is out of date.
        """
        self.compute = compute
        self._network = _ready(network, compute, own)
        self.has_features = has_features(self._network)
        self._tap: FeatureTap | None = None
        self._tapping = threading.Lock()
        self._listener = threading.local()

    def __call__(self, images: Tensor) -> Tensor:
        """Probabilities that sum to 1 over K."""
        with torch.inference_mode():
            if self.compute.device.type != "cpu" or len(images) == 1:
                return self._run(images)
            return torch.cat([self._run(image) for image in torch.split(images, 1)])

    @contextmanager
    def listening(self) -> Iterator[list[Tensor]]:
        """Gathers the features float32 (B, D) of all images that pass in this thread, in their order; see
        `FeatureTap`. One listener at a time in each thread.
        """
        with self._tapping:
            if self._tap is None:  # it stays: hooks must not come and go while images pass
                self._tap = FeatureTap(self._network).__enter__()
        self._listener.heard = heard = list[Tensor]()
        try:
            yield heard
        finally:
            self._listener.heard = None

    def fingerprint(self) -> str:
        """A hash of the weights as they are used here, and of the arithmetic they are used in."""
        digest = hashlib.sha256(f"{self.compute.device.type} {self.compute.dtype}".encode())
        digest.update(repr(self._network).encode())
        for name, tensor in sorted(self._network.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    def _run(self, images: Tensor) -> Tensor:
        images = images.to(self.compute.device, self.compute.dtype).contiguous(
            memory_format=torch.channels_last
        )
        found = probabilities(self._network(images).float()).cpu().contiguous()
        heard: list[Tensor] | None = getattr(self._listener, "heard", None)
        if heard is not None and self._tap is not None:
            heard.append(self._tap.take(images).cpu())
        return found


def _ready(network: nn.Module, compute: Compute, own: bool) -> nn.Module:
    """The network in evaluation mode, its convolutions in the device's type and layout."""
    if not own:
        network = _twin(network)
    network.eval()
    for module in network.modules():
        if isinstance(module, ConvNorm) and isinstance(module.norm, nn.BatchNorm2d):
            module.conv = fuse_conv_bn_eval(module.conv, module.norm)
            module.norm = nn.Identity()  # type: ignore[assignment]
    network.to(compute.device)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.to(compute.dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def _twin(network: nn.Module) -> nn.Module:
    """The same network with modules of its own; the numbers are shared until one of them is replaced."""
    shared: dict[int, object] = {
        id(parameter): nn.Parameter(parameter.detach(), requires_grad=False)
        for parameter in network.parameters()
    }
    shared |= {id(buffer): buffer for buffer in network.buffers()}
    return copy.deepcopy(network, memo=shared)
