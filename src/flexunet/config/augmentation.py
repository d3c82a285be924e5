"""The augmentation section and the operations that it may hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, Field

from .section import Contradiction, Positive, Section, Share

Above0 = Annotated[float, Field(gt=0)]
Part = Annotated[float, Field(gt=0, le=1)]
Quality = Annotated[int, Field(ge=1, le=100)]


_Ends = TypeVar("_Ends", bound=tuple[float, float])


def _rises(ends: _Ends) -> _Ends:
    if ends[0] > ends[1]:
        raise ValueError(f"(smallest, largest) is expected, not {ends}")
    return ends


Rising = Annotated[tuple[Above0, Above0], AfterValidator(_rises)]
"""(smallest, largest), both above 0."""
RisingShares = Annotated[tuple[Share, Share], AfterValidator(_rises)]
"""(smallest, largest), both from 0 to 1."""
RisingParts = Annotated[tuple[Part, Part], AfterValidator(_rises)]
"""(smallest, largest), both above 0 and at most 1."""


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


class ResizedCropConfig(Section):
    """A part of the frame fills it (Szegedy et al. 2015): what is always in the middle no longer is."""

    probability: Share = 0.5
    """Probability that a sample shows a part alone."""
    edge: RisingParts = (0.5, 1.0)
    """Range of the part's edges, as a share of the frame's; it lies anywhere in it."""


class PerspectiveConfig(Section):
    """The frame seen at a slant: each of its corners moves for itself."""

    probability: Share = 0.5
    """Probability that a sample is slanted."""
    strength: Annotated[float, Field(gt=0, le=0.2)] = 0.1
    """Largest shift of a corner, as a share of the size."""


class GammaConfig(Section):
    """Values between the limits of their band, as a share of them, to the power of gamma."""

    probability: Share = 0.5
    """Probability that gamma changes."""
    range: Rising = (0.7, 1.5)
    """Range of the exponent, drawn log-uniformly; below 1 is brighter."""


class BlurConfig(Section):
    """Gaussian blur of the image."""

    probability: Share = 0.3
    """Probability that a sample is blurred."""
    sigma: Rising = (0.4, 1.5)
    """Range of the Gaussian's width, in pixels of `data.size`."""


class NoiseConfig(Section):
    """Gaussian noise, drawn for each pixel and band apart."""

    probability: Share = 0.3
    """Probability that a sample gets noise."""
    deviation: Rising = (0.02, 0.15)
    """Range of the noise's standard deviation, in standard deviations of the band."""


class JpegConfig(Section):
    """What JPEG compression leaves, bands taken in threes or alone."""

    probability: Share = 0.3
    """Probability that a sample is compressed."""
    quality: Annotated[tuple[Quality, Quality], AfterValidator(_rises)] = (30, 90)
    """Range of JPEG's quality."""


class BandDropoutConfig(Section):
    """Whole bands replaced by their mean; one band is always left."""

    probability: Share = 0.2
    """Probability that a sample loses bands."""
    most: Positive = 1
    """Largest number of bands lost; from 1 on, each number is as likely."""


class HazeConfig(Section):
    """A bright veil that is thicker here than there."""

    probability: Share = 0.2
    """Probability that a sample is hazy."""
    strength: RisingShares = (0.1, 0.5)
    """Range of the veil's share where it is thickest."""


class ShadowConfig(Section):
    """A polygon with soft edges lies in the shade."""

    probability: Share = 0.2
    """Probability that a shadow falls on a sample."""
    strength: RisingShares = (0.2, 0.6)
    """Range of the light's share that is missing there."""


class MixConfig(Section):
    """Samples made of two; at most one of these happens to a sample."""

    mixup: Share = 0.0
    """Probability of MixUp (Zhang et al. 2018): both pictures at once, with soft labels."""
    cutmix: Share = 0.0
    """Probability of CutMix (Yun et al. 2019): a rectangle of the other sample."""
    classmix: Share = 0.0
    """Probability of ClassMix (Olsson et al. 2021): the pixels of half of the other sample's classes."""
    copy_paste: Share = 0.0
    """Probability of Copy-Paste (Ghiasi et al. 2021): objects of the other sample, in their places there."""
    alpha: Above0 = 0.4
    """MixUp's share of the other picture is drawn from Beta(alpha, alpha)."""

    def contradictions(self) -> Iterator[Contradiction]:
        """At most one of them happens to a sample."""
        total = self.mixup + self.cutmix + self.classmix + self.copy_paste
        if total > 1 + 1e-9:
            yield Contradiction(
                (("mixup",), ("cutmix",), ("classmix",), ("copy_paste",)),
                f"mixup, cutmix, classmix and copy_paste are probabilities of which at most one happens; "
                f"together they are {total:g}, at most 1 is expected",
            )


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
    affine: Share = 1.0
    """Probability that a sample is rotated, zoomed, stretched, sheared and shifted at all; the others keep
    their frame, but for flips and turns."""
    rotation: Annotated[float, Field(ge=0, le=180)] = 180.0
    """Largest free rotation to either side, in degrees."""
    scale: Rising = (0.7, 1.4)
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
    resized_crop: ResizedCropConfig | None = None
    """A part of the frame in place of all of it; left out: none."""
    perspective: PerspectiveConfig | None = None
    """A slanted view; left out: none."""
    gamma: GammaConfig | None = None
    """Change of gamma; left out: none."""
    shadow: ShadowConfig | None = None
    """A shadow; left out: none."""
    haze: HazeConfig | None = None
    """Haze; left out: none."""
    blur: BlurConfig | None = None
    """Gaussian blur; left out: none."""
    noise: NoiseConfig | None = None
    """Gaussian noise; left out: none."""
    jpeg: JpegConfig | None = None
    """JPEG artefacts; left out: none."""
    band_dropout: BandDropoutConfig | None = None
    """Loss of bands; left out: none."""
    rare_crop: Share = 0.0
    """With `data.sizing = "crop"`: probability that a crop is centred on a pixel of a class drawn by how rare
    it is in the picture, instead of anywhere."""
    mix: MixConfig | None = None
    """Samples made of two; left out: none."""
