"""The augmentation section and the operations that it may hold."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from .section import Section, Share

Above0 = Annotated[float, Field(gt=0)]


class DeformationConfig(Section):
    """Elastic deformation (Simard et al. 2003): every pixel moves by alpha times Gaussian-smoothed noise."""

    probability: Share = 0.5
    """Probability that a sample is deformed."""
    alpha: Above0 = 1300.0
    """Strength; 1300 with a sigma of 8 moves pixels by 2 pixels (standard deviation)."""
    sigmas: Annotated[tuple[Above0, ...], Field(min_length=1)] = (8.0,)
    """Widths of the smoothing Gaussian in pixels of `data.size`; one of them is drawn."""


class DistortionConfig(Section):
    """Slow random distortion: pixels move along the gradient of Gaussian-smoothed noise."""

    probability: Share = 0.5
    """Probability that a sample is distorted."""
    strengths: Annotated[tuple[Share, ...], Field(min_length=1)] = (0.02,)
    """Largest displacement as a share of the size; one of them is drawn."""
    sigma: Above0 = 40.0
    """Width of the smoothing Gaussian in pixels of `data.size`."""


class LensConfig(Section):
    """Round lenses: inside a radius around each centre the picture bulges or is pinched."""

    probability: Share = 0.5
    """Probability that a sample is seen through the lenses."""
    radius: Above0 = 0.5
    """Radius of each lens as a share of the width."""
    amount: Annotated[float, Field(gt=-1)] = 0.5
    """Above 0 the centre bulges (barrel), below 0 it is pinched (pincushion)."""
    centres: tuple[tuple[float, float], ...] = ((0.5, 0.5),)
    """Centre (x, y) of each lens as a share of width and height; each sees what the one before shows."""


class SharpeningConfig(Section):
    """Sharpening by a 3 x 3 kernel: the centre gains 8 strengths of contrast to its neighbours."""

    probability: Share = 0.5
    """Probability that a sample is sharpened."""
    strength: Above0 = 1.0
    """Weight of each neighbour's difference."""


class BrighteningConfig(Section):
    """Raw values times a factor plus an offset, within the range of their data type."""

    probability: Share = 0.5
    """Probability that a sample is brightened."""
    factor: Above0 = 1.2
    """Factor on the raw values."""
    offset: float = 10.0
    """Added to them, in raw values."""


class AugmentConfig(Section):
    """Online augmentation of training samples: one geometric draw for image and mask, then colour."""

    enabled: bool = True
    """Whether training samples are augmented."""
    hflip: Share = 0.5
    """Probability of a left-right flip."""
    vflip: Share = 0.5
    """Probability of an upside-down flip."""
    turns: bool = True
    """Turns by multiples of 90 degrees (180 degrees for sizes that are not square)."""
    angles: tuple[float, ...] | None = None
    """Fixed rotation angles in degrees to draw from, in place of `turns` and `rotation`."""
    rotation: Annotated[float, Field(ge=0, le=180)] = 180.0
    """Largest free rotation to either side, in degrees."""
    scale: tuple[float, float] = (0.7, 1.4)
    """Range of the zoom factor, drawn log-uniformly."""
    aspect: Annotated[float, Field(ge=1)] = 1.3
    """Largest change of the aspect ratio, as a factor."""
    shear: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Largest shear to either side."""
    shift: Share = 0.1
    """Largest shift to either side, as a share of the size."""
    border: Literal["reflect", "ignore"] = "reflect"
    """What stands beyond the image's edge: its mirror image, or missing data whose labels are ignored."""
    brightness: Annotated[float, Field(ge=0)] = 0.2
    """Largest change of brightness, in standard deviations of the band."""
    contrast: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Largest change of contrast, as a share."""
    colour: Annotated[float, Field(ge=0)] = 0.07
    """Standard deviation of the shift drawn for each band apart, in standard deviations of the band."""
    saturation: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Largest change of saturation (distance of the bands from their mean), as a share."""

    deformation: DeformationConfig | None = None
    """Elastic deformation; left out: none."""
    distortion: DistortionConfig | None = None
    """Slow random distortion; left out: none."""
    lenses: tuple[LensConfig, ...] = ()
    """Lenses, each drawn for itself."""
    sharpening: SharpeningConfig | None = None
    """Sharpening of the image; left out: none."""
    brightening: BrighteningConfig | None = None
    """Brightening of the raw values; left out: none."""

    @model_validator(mode="after")
    def _ranges(self) -> AugmentConfig:
        low, high = self.scale
        if not 0 < low <= high:
            raise ValueError(f"scale is (smallest, largest) with 0 < smallest <= largest, not {self.scale}")
        return self
