"""The predictor: a model file in, classes and probabilities of any picture out."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ..bands import Bands
from ..classes import Classes
from ..config.schema import PredictConfig
from ..errors import ConfigError
from ..modelfile import ModelRecord, check_agreement, load_model, scale_of, shared_inputs, shared_size
from ..raster import Picture
from .applicability import Familiar, with_distance
from .compute import Precision, choose_compute
from .decision import Decision
from .ensemble import channels_of, mean_of_models
from .framing import Framing, Tiling, frame
from .network_call import NetworkCall
from .one_picture import Prediction, in_batches, join, told
from .pictures import picture_from_array, picture_from_file
from .tta import ProbabilitiesOf, mean_of_eight
from .unsure import Unsure, with_unsure


class Predictor:
    """A trained model, ready: `p(image)` gives classes, `p.probabilities(image)` probabilities.

    `image` is a path, or an array of raw values (H, W, C) or (H, W). The result has the picture's own size.
    It depends on the picture, the model and the machine alone: neither other pictures of a batch nor their
    order changes it on a CPU (on GPUs up to rounding, see `NetworkCall`). Pixels without data are background.
    The temperature and threshold in the model file are applied; `uncalibrated()` leaves them out.

    >>> p = Predictor.from_file("model.safetensors")   # doctest: +SKIP
    >>> p("scene.png").shape                           # doctest: +SKIP
    (512, 640)
    """

    def __init__(
        self,
        network: nn.Module,
        record: ModelRecord,
        *,
        device: str = "auto",
        precision: Precision = "auto",
        settings: PredictConfig | None = None,
        own: bool = False,
    ) -> None:
        """A predictor of a network in memory.

        Args:
            network: images (B, C, H, W) to logits (B, K, H, W).
            record: what its model file says, or would say.
            device: auto, cpu, cuda, cuda:1 or mps.
            precision: auto (bf16 where the hardware has it and training did not use 32 bits), 32 or bf16.
            settings: tiling, tile, halo, batch size, test-time augmentation; left out: those in the record.
            own: the network may be changed (its batch norms are folded, its weights converted).

        Raises:
            ConfigError: a device that is not here.
        """
        self.record = record
        self.settings = settings if settings is not None else record.predict
        self.calibration = record.calibration
        self.familiar = Familiar.of(record.applicability) if record.applicability is not None else None
        """What tells how far a picture lies from those of training; None: the model file does not know."""
        self.unsure: Unsure | None = None
        """Below which values a class is left open."""
        self.compute = choose_compute(device, precision, record.training.get("precision"))
        self._members: tuple[NetworkCall, ...] = (NetworkCall(network, self.compute, own=own),)
        self._once: ProbabilitiesOf = self._members[0]
        self.inputs: tuple[Bands, ...] = record.inputs
        """How raw bands are normalised: once for every different input of an ensemble's models."""

    @classmethod
    def from_file(
        cls,
        path: Path | str,
        *,
        device: str = "auto",
        precision: Precision = "auto",
        threads: int | None = None,
        settings: PredictConfig | None = None,
    ) -> Predictor:
        """The predictor of a model file; `threads` sets PyTorch's CPU threads for the whole process.

        Raises:
            ModelFileError: missing, damaged or foreign.
            ConfigError: a device that is not here.
        """
        model = load_model(Path(path))
        if threads is not None:
            torch.set_num_threads(threads)
        return cls(
            model.network, model.record, device=device, precision=precision, settings=settings, own=True
        )

    @classmethod
    def ensemble(cls, members: Sequence[Predictor], names: Sequence[str] | None = None) -> Predictor:
        """The predictor that gives the mean of the probabilities of `members`.

        Tiles, settings and the measure of applicability are those of the first one; each sees pictures as
        large as in its training. None of their calibrations is applied, for none was fitted on the mean.

        Raises:
            ConfigError: they know other classes or take other bands than the first one.
        """
        if len(members) == 1:
            return members[0]
        check_agreement(
            [member.record for member in members],
            names or [f"model {number}" for number in range(1, len(members) + 1)],
        )
        records = [one for member in members for one in (member.record.members or (member.record,))]
        size = shared_size([member.record.data for member in members])
        data = members[0].record.data.model_copy(update={"size": size})
        together = copy(members[0])
        together.record = members[0].record.model_copy(update={"data": data, "members": tuple(records)})
        together._members = tuple(call for member in members for call in member._members)
        together.inputs, _ = shared_inputs([bands for member in members for bands in member.inputs])
        places = [channels_of(member.inputs, together.inputs) for member in members]
        scales = [scale_of(member.record.data, data) for member in members]
        together._once = mean_of_models([member._once for member in members], places, scales)
        together.calibration = None
        return together

    @property
    def fingerprint(self) -> str:
        """A hash of all that turns raw pixels into probabilities: weights, precision, bands, calibration."""
        digest = hashlib.sha256()
        for part in (*self.inputs, self.record.classes, self.record.data, self.calibration):
            digest.update((part.model_dump_json() if part is not None else "none").encode())
        for call in self._members:
            digest.update(call.fingerprint().encode())
        return digest.hexdigest()

    def probabilities_of(self, tta: bool | None = None, *, distance: bool = False) -> ProbabilitiesOf:
        """What maps the normalised input of tiles to probabilities, with flips and turns where set.

        With `distance`, and a model file that knows it, the distance from training is one more plane.
        """
        eightfold = self.settings.tta if tta is None else tta
        found = mean_of_eight(self._once) if eightfold else self._once
        if not distance or self.familiar is None:
            return found
        return with_distance(found, self._members[0], self.familiar)

    @property
    def classes(self) -> Classes:
        """What labels mean: the model's classes, and `unsure` as the last one where that is asked for."""
        return self.record.classes if self.unsure is None else with_unsure(self.record.classes)

    @property
    def decision(self) -> Decision:
        """How labels come of what the network says."""
        return Decision(self.record.classes, self.calibration, self.familiar, self.unsure)

    @property
    def network_probabilities(self) -> ProbabilitiesOf:
        """Normalised images (B, C, H, W) of the training size to probabilities (B, K, H, W), both float32."""
        return self._once

    def __call__(
        self,
        image: Path | str | NDArray[Any] | Picture,
        *,
        tiling: Tiling | None = None,
        tta: bool | None = None,
    ) -> NDArray[np.uint8]:
        """Classes uint8 (H, W) of a picture.

        Raises:
            RasterError: the file cannot be read.
            DataError: another number of bands or type than the model was trained on.
        """
        return self._one(image, tiling, tta, keep=False).labels

    def probabilities(
        self,
        image: Path | str | NDArray[Any] | Picture,
        *,
        tiling: Tiling | None = None,
        tta: bool | None = None,
    ) -> NDArray[np.float32]:
        """Probabilities float32 (K, H, W) of a picture, summing to 1 over K. Raises as `__call__`."""
        kept = self._one(image, tiling, tta, keep=True).probabilities
        assert kept is not None
        return kept

    def applicability(
        self, image: Path | str | NDArray[Any] | Picture, *, tiling: Tiling | None = None
    ) -> float:
        """How much a picture is like those of training, 0 to 1.

        The share of held-out pictures of the training region that lie at least as far from the pictures of
        training, in the encoder's features: 0.02 means that 2 of 100 do. 0: none does. A picture of several
        tiles has the mean of their distances.

        Raises:
            ConfigError: the model file does not know; `flexunet evaluate RUN --calibrate` lets it.
            The rest: as `__call__`.
        """
        self.require_familiar()
        found = self._one(image, tiling, False, keep=False).applicability
        assert found is not None
        return found

    def require_familiar(self) -> Familiar:
        """What tells how far a picture lies from those of training.

        Raises:
            ConfigError: the model file does not know it.
        """
        if self.familiar is None:
            raise ConfigError(
                "the model file does not say how far pictures lie from those of training. Where the training "
                "data are at hand, flexunet evaluate RUN --calibrate adds it."
            )
        return self.familiar

    def features(
        self, pictures: Iterable[Picture], *, tiling: Tiling | None = None, most: int | None = None
    ) -> Iterator[NDArray[np.float32]]:
        """Of each picture, features float32 (N, D) of the windows it is predicted by; see `FeatureTap`.

        `most`: windows of a picture at most, drawn evenly.
        """
        for picture in pictures:
            framing = self.framing(picture.valid.shape, tiling)
            with self._members[0].listening() as heard:
                windows = list(framing.grid)
                for window in windows[:: -(-len(windows) // (most or len(windows)))]:
                    pixels = picture.pixels[:, window.rows, window.cols]
                    seen = framing.enter(pixels, picture.valid[window.rows, window.cols])
                    self._once(torch.from_numpy(seen)[None])
            yield torch.cat(heard).numpy()

    @property
    def has_features(self) -> bool:
        """Whether the network has a way down that features can be taken from."""
        return self._members[0].has_features

    def with_unsure(self, unsure: Unsure) -> Predictor:
        """The same predictor that leaves pixels open, as one more class; see `classes`.

        Raises:
            ConfigError: the model knows a class of that name.
        """
        other = copy(self)
        other.unsure = unsure
        with_unsure(self.record.classes)
        return other

    def with_settings(self, **changed: Any) -> Predictor:
        """The same predictor with other fields of `PredictConfig`, such as `tta=True` or `tile=512`."""
        other = copy(self)
        other.settings = PredictConfig(**{**self.settings.model_dump(), **changed})
        return other

    def uncalibrated(self) -> Predictor:
        """The same predictor with the network's own probabilities and the likelier class."""
        other = copy(self)
        other.calibration = None
        return other

    def read(self, image: Path | str | NDArray[Any] | Picture) -> Picture:
        """The picture as the model takes it. Raises as `__call__`."""
        if isinstance(image, Picture):
            return image
        if isinstance(image, (str, Path)):
            return picture_from_file(Path(image), self.record)
        return picture_from_array(np.asarray(image), self.record)

    def framing(self, shape: tuple[int, int], tiling: Tiling | None = None) -> Framing:
        """The windows that a picture of `shape` (height, width) is predicted by."""
        return frame(shape, self.record, self.settings, tiling or self.settings.tiling, self.inputs)

    def predict(
        self,
        pictures: Iterable[Picture],
        *,
        tiling: Tiling | None = None,
        tta: bool | None = None,
        keep_probabilities: bool = False,
        progress: Callable[[int, int], None] | None = None,
    ) -> Iterator[Prediction]:
        """The predictions of many pictures in their order, computed in batches.

        `progress` gets the windows done and in all of the picture at hand, after each one.

        Memory: a batch of pictures at most, and for each a strip of probabilities of a window's height (all
        of them with `keep_probabilities`).
        """
        waiting: deque[tuple[Picture, Framing]] = deque()

        def inputs() -> Iterator[NDArray[np.float32]]:
            for picture in pictures:
                framing = self.framing(picture.valid.shape, tiling)
                waiting.append((picture, framing))
                for window in framing.grid:
                    yield framing.enter(
                        picture.pixels[:, window.rows, window.cols], picture.valid[window.rows, window.cols]
                    )

        call = self.probabilities_of(tta, distance=True)
        outputs = in_batches(call, inputs(), self.settings.batch_size)
        for first in outputs:
            picture, framing = waiting.popleft()
            its = told(chain([first], outputs), len(framing.grid), progress)
            yield join(picture, framing, its, self.decision, keep=keep_probabilities)

    def _one(
        self, image: Path | str | NDArray[Any] | Picture, tiling: Tiling | None, tta: bool | None, keep: bool
    ) -> Prediction:
        (prediction,) = self.predict([self.read(image)], tiling=tiling, tta=tta, keep_probabilities=keep)
        return prediction
