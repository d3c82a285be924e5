"""A large-kernel convolution through the discrete Fourier transform of small tiles, in float32 on CPUs.

Direct convolution spends k² multiplications a pixel and channel pair. Cut the image into tiles of `step`
pixels that overlap by k - 1 (overlap-save; Oppenheim & Schafer, Discrete-Time Signal Processing, 3rd ed.,
section 8.7), and the product of two spectra does the same in about 8: for 11 x 11 kernels the whole costs a
quarter of the arithmetic and, measured against double precision, a smaller rounding error. The tiles are so
small that the transforms are fastest as matrix products with cosines and sines: everything here is matrix
products and copies.

Names: N = step + k - 1 is the edge of a tile, F = N // 2 + 1 the kept half of the frequencies along the
height, t the number of tiles at work, C and K the channels in and out. A spectrum is (F * N, 2, t, C): real
and imaginary part apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

Complex = tuple[Tensor, Tensor]
"""Real and imaginary part."""

_WORKSPACE_BYTES = 4 * 2**20


@dataclass(frozen=True)
class _Plan:
    """The tiles of one convolution and the matrices that transform them."""

    kernel: int
    step: int
    rows: int
    """Tiles along the height."""
    columns: int
    """Tiles along the width."""
    strip: int
    """Rows of tiles that are at work at a time."""
    forward_height: Tensor
    """(2F, N): a real column of a tile to its half spectrum."""
    forward_width: Tensor
    """(2N, 2N): a complex row, parts (2, N), to its spectrum, parts (N, 2)."""
    inverse_width: Tensor
    """(2N, 2N): back from parts (2, N) to parts (2, N)."""
    inverse_height: Tensor
    """(N, 2F): a half spectrum back to a real column."""

    @property
    def edge(self) -> int:
        return self.step + self.kernel - 1

    @property
    def half(self) -> int:
        return self.edge // 2 + 1

    def narrow_width(self, matrix: Tensor, axis: int, kept: int) -> Tensor:
        """The part of a width matrix that belongs to the first `kept` pixels."""
        edge = self.edge
        if axis == 0:
            return matrix.view(2, edge, 2 * edge)[:, :kept].reshape(2 * kept, 2 * edge)
        return matrix.view(2 * edge, 2, edge)[:, :, :kept].reshape(2 * edge, 2 * kept)


def best_step(height: int, width: int, channels: int, filters: int, kernel: int) -> int:
    """The tile step of the least arithmetic, counted in multiplications a tile."""

    def cost(step: int) -> float:
        edge = step + kernel - 1
        half = edge // 2 + 1
        tiles = math.ceil(height / step) * math.ceil(width / step)
        there = channels * (2 * half * edge * edge + 4 * half * edge * edge)
        back = filters * (4 * half * edge * step + 2 * half * step * step)
        product = (
            4 * half * edge * channels * filters * (1 + 32 / min(channels, filters))
        )  # thin ones run slower
        weights = 16 * half * edge * kernel * channels * filters
        return tiles * (there + product + back) + weights

    return min(range(8, 41, 4), key=cost)


@lru_cache(maxsize=64)
def _plan(height: int, width: int, channels: int, filters: int, kernel: int) -> _Plan:
    step = best_step(height, width, channels, filters, kernel)
    edge = step + kernel - 1
    half = edge // 2 + 1
    pixel = torch.arange(edge, dtype=torch.float64)
    angle = 2 * math.pi * torch.outer(pixel, pixel) / edge
    cosine, sine = angle.cos(), angle.sin()
    forward_height = torch.stack([cosine[:half], -sine[:half]], 1).reshape(2 * half, edge)
    forward_width = torch.stack([torch.cat([cosine, sine], 1), torch.cat([-sine, cosine], 1)], 1)
    inverse_width = torch.cat([torch.cat([cosine, -sine], 1), torch.cat([sine, cosine], 1)], 0) / edge
    mirrored = torch.full((half, 1), 2.0, dtype=torch.float64)
    mirrored[0] = 1
    if edge % 2 == 0:
        mirrored[-1] = 1
    inverse_height = (
        torch.stack([cosine[:half] * mirrored, -sine[:half] * mirrored], 1).reshape(2 * half, edge).T / edge
    )
    rows, columns = math.ceil(height / step), math.ceil(width / step)
    bytes_a_row = 8 * half * edge * columns * max(channels, filters)
    workspace = max(_WORKSPACE_BYTES, 8 * half * edge * channels * filters)
    return _Plan(
        kernel,
        step,
        rows,
        columns,
        max(1, min(rows, workspace // bytes_a_row)),
        forward_height.float().contiguous(),
        forward_width.reshape(2 * edge, 2 * edge).float().contiguous(),
        inverse_width.float().contiguous(),
        inverse_height.float().contiguous(),
    )


def _padded(image: Tensor, plan: _Plan, before: int, after: int) -> Tensor:
    """One image (H, W, C) with zeros around it, so that the tiles reach over its end."""
    height, width, _ = image.shape
    bottom = plan.rows * plan.step - height + after
    right = plan.columns * plan.step - width + after
    if not (before or bottom or right):
        return image.contiguous()
    return F.pad(image, (0, 0, before, right, before, bottom))


def _spectrum(padded: Tensor, plan: _Plan, first: int, strip: int, span: int) -> Tensor:
    """Spectra (F * N, 2, t, C) of `strip` rows of tiles; each tile is its first `span` pixels, then zeros."""
    _, width, channels = padded.shape
    line = width * channels
    half, edge, step, columns = plan.half, plan.edge, plan.step, plan.columns
    slabs = padded.as_strided(
        (strip, span, line), (step * line, line, 1), padded.storage_offset() + first * step * line
    )
    along_height = torch.bmm(
        plan.forward_height[:, :span].expand(strip, -1, -1), slabs
    )  # (strip, 2F, width * C)
    tiles = along_height.as_strided(
        (half, 2, span, strip, columns, channels),
        (2 * line, line, channels, 2 * half * line, step * channels, 1),
    ).reshape(half, 2 * span, strip * columns * channels)
    along_width = torch.matmul(plan.narrow_width(plan.forward_width, 1, span), tiles)
    return along_width.view(half * edge, 2, strip * columns, channels)


def _kernel_spectrum(weight: Tensor, plan: _Plan) -> Complex:
    """Real and imaginary part (F * N, C, K), conjugated: a correlation, as networks mean by convolution."""
    filters, channels, kernel, _ = weight.shape
    half, edge = plan.half, plan.edge
    pairs = weight.permute(2, 3, 1, 0).reshape(kernel, kernel * channels * filters)
    along_height = torch.mm(plan.forward_height[:, :kernel], pairs)
    along_height = along_height.view(half, 2 * kernel, channels * filters)
    along_width = torch.matmul(plan.narrow_width(plan.forward_width, 1, kernel), along_height)
    parts = along_width.view(half * edge, 2, channels, filters)
    return parts[:, 0].contiguous(), parts[:, 1].neg()


def _product(spectrum: Tensor, kernel: Complex) -> Complex:
    """Complex product summed over the channels.

    Spectrum (F * N, 2, t, C) and the kernel's parts (F * N, C, K) to parts (F * N, t, K).
    """
    real = torch.bmm(spectrum[:, 0], kernel[0]).baddbmm_(spectrum[:, 1], kernel[1], alpha=-1)
    imaginary = torch.bmm(spectrum[:, 0], kernel[1]).baddbmm_(spectrum[:, 1], kernel[0])
    return real, imaginary


def _pixels(spectrum: Complex, plan: _Plan, kept: int) -> Tensor:
    """The first `kept` pixels of each tile: parts (F * N, t, K) to (kept, kept, t, K)."""
    _, tiles, filters = spectrum[0].shape
    half, edge = plan.half, plan.edge
    real, imaginary = (part.view(half, edge, tiles * filters) for part in spectrum)
    inverse = plan.narrow_width(plan.inverse_width, 0, kept).expand(half, -1, -1)
    along_width = torch.bmm(inverse[..., :edge], real).baddbmm_(inverse[..., edge:], imaginary)
    along_height = torch.mm(plan.inverse_height[:kept], along_width.view(2 * half, kept * tiles * filters))
    return along_height.view(kept, kept, tiles, filters)


def _paste(pixels: Tensor, plan: _Plan, image: Tensor, first: int, bias: Tensor | None) -> None:
    """Tiles (step, step, t, K) into their place in one image (H, W, K)."""
    step, columns = plan.step, plan.columns
    strip = pixels.shape[2] // columns
    height, width, filters = image.shape
    tiles = pixels.view(step, step, strip, columns, filters).permute(2, 0, 3, 1, 4)
    top, bottom = first * step, min((first + strip) * step, height)
    if bottom - top == strip * step and width == columns * step:
        target = image[top:bottom].view(strip, step, columns, step, filters)
        target.copy_(tiles) if bias is None else torch.add(tiles, bias, out=target)
        return
    lines = tiles.reshape(strip * step, columns * step, filters)[: bottom - top, :width]
    image[top:bottom].copy_(lines if bias is None else lines + bias)


def _correlate(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    batch, channels, height, width = x.shape
    filters, _, kernel, _ = weight.shape
    plan = _plan(height, width, channels, filters, kernel)
    spectrum_of_kernel = _kernel_spectrum(weight, plan)
    out = torch.empty((batch, filters, height, width), memory_format=torch.channels_last)
    for image, result in zip(x.permute(0, 2, 3, 1), out.permute(0, 2, 3, 1), strict=True):
        padded = _padded(image, plan, kernel // 2, kernel // 2)
        for first in range(0, plan.rows, plan.strip):
            strip = min(plan.strip, plan.rows - first)
            spectrum = _spectrum(padded, plan, first, strip, plan.edge)
            _paste(
                _pixels(_product(spectrum, spectrum_of_kernel), plan, plan.step), plan, result, first, bias
            )
    return out


def _gradients(grad: Tensor, x: Tensor, weight: Tensor, need_x: bool) -> tuple[Tensor | None, Tensor]:
    """Gradients of input and weight; the spectra of the incoming gradient serve both.

    With gp the padded gradient and e = k - 1 - d: gx[v] = sum_e w[k-1-e] gp[v+e], gw[d] = sum_v x[v] gp[v+e].
    """
    batch, channels, height, width = x.shape
    filters, _, kernel, _ = weight.shape
    plan = _plan(height, width, filters, channels, kernel)
    half, edge = plan.half, plan.edge
    spectrum_of_kernel = _kernel_spectrum(weight.flip(2, 3).transpose(0, 1), plan)
    grad_x = x.new_empty(batch, height, width, channels)
    sums = x.new_zeros(half * edge, channels, filters), x.new_zeros(half * edge, channels, filters)
    for index in range(batch):
        padded_grad = _padded(grad[index].permute(1, 2, 0), plan, kernel // 2, kernel // 2)
        padded_x = _padded(x[index].permute(1, 2, 0), plan, 0, 0)
        for first in range(0, plan.rows, plan.strip):
            strip = min(plan.strip, plan.rows - first)
            there = _spectrum(padded_grad, plan, first, strip, edge)
            here = _spectrum(padded_x, plan, first, strip, plan.step)
            _add_conjugate_product(sums, here, there)
            if need_x:
                pixels = _pixels(_product(there, spectrum_of_kernel), plan, plan.step)
                _paste(pixels, plan, grad_x[index], first, None)
    taps = _pixels(sums, plan, kernel).flip(0, 1).permute(3, 2, 0, 1)
    return grad_x.permute(0, 3, 1, 2) if need_x else None, taps


def _add_conjugate_product(sums: Complex, x: Tensor, grad: Tensor) -> None:
    """sums += conj(x)' grad for each frequency.

    Spectra (F * N, 2, t, C) and (F * N, 2, t, K) to parts (F * N, C, K).
    """
    frequencies, _, tiles, channels = x.shape
    both_x = x.view(frequencies, 2 * tiles, channels).transpose(1, 2)
    sums[0].baddbmm_(both_x, grad.view(frequencies, 2 * tiles, grad.shape[3]))
    sums[1].baddbmm_(x[:, 0].transpose(1, 2), grad[:, 1])
    sums[1].baddbmm_(x[:, 1].transpose(1, 2), grad[:, 0], alpha=-1)


class _DftConv2d(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.with_bias = bias is not None
        return _correlate(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor, Tensor | None]:
        x, weight = ctx.saved_tensors
        grad_x, grad_weight = _gradients(grad, x, weight, ctx.needs_input_grad[0])
        return grad_x, grad_weight, grad.sum((0, 2, 3)) if ctx.with_bias else None


def dft_conv2d(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The 'same' convolution of odd square kernels, float32: (B, C, H, W) to (B, K, H, W) in channels last.

    Equal to `torch.nn.functional.conv2d(x, weight, bias, padding=k // 2)` but for rounding, with gradients.
    Every image is worked on by itself, so the others in the batch never change its result. Needs a padded
    copy of one image and about 50 MB beside input and output.
    """
    if torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad):
        result: Tensor = _DftConv2d.apply(x, weight, bias)  # type: ignore[no-untyped-call]
        return result
    return _correlate(x, weight, bias)
