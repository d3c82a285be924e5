"""A prediction depends on the picture and the model alone, and has the picture's size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray
from torch import Tensor, nn

from flexunet.bands import Bands
from flexunet.classes import Classes
from flexunet.config.schema import FlexUNetConfig, PredictConfig, ResUNetConfig
from flexunet.errors import ConfigError, DataError
from flexunet.modelfile import InputRecord, ModelRecord, save_ensemble, save_model
from flexunet.nets import build_network
from flexunet.prediction import Predictor
from flexunet.prediction.calibrate import most_probable
from flexunet.prediction.compute import choose_compute
from flexunet.prediction.one_picture import in_batches
from flexunet.prediction.tta import mean_of_eight
from flexunet.raster import Grid, Picture, write_png

RNG = np.random.default_rng(3)
MODELS: dict[str, FlexUNetConfig | ResUNetConfig] = {
    "flexunet": FlexUNetConfig(base_filters=4, base_kernels=(5, 5), num_layers=3, dropout_rate=0.1),
    "resunet": ResUNetConfig(widths=(8, 12, 16), depths=(1, 1)),
}


def record_of(
    model: Literal["flexunet", "resunet"] = "resunet",
    *,
    channels: int = 3,
    classes: int = 2,
    sizing: Literal["resize", "fit", "crop"] = "resize",
    dtype: str = "uint8",
    **data: Any,
) -> ModelRecord:
    colours = [(0, 0, 0), (255, 255, 0), (0, 0, 255), (255, 0, 0)][:classes]
    return ModelRecord(
        model=MODELS[model],
        classes=Classes(names=tuple(f"class {k}" for k in range(classes)), colours=tuple(colours)),
        bands=Bands(
            names=tuple(f"band {i + 1}" for i in range(channels)),
            dtype=dtype,
            mean=(120.0,) * channels,
            std=(60.0,) * channels,
        ),
        data=InputRecord(size=(32, 32), sizing=sizing, **data),
    )


def network_of(record: ModelRecord) -> nn.Module:
    torch.manual_seed(5)
    network = build_network(record.model, len(record.bands), len(record.classes))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.5, 0.5)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 2)  # type: ignore[arg-type]
    return network.eval()


def predictor_of(record: ModelRecord, **options: Any) -> Predictor:
    return Predictor(network_of(record), record, device="cpu", **{"precision": "32", **options})


def noise(*shape: int) -> NDArray[np.uint8]:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def as_picture(array: NDArray[Any]) -> Picture:
    return Picture(np.moveaxis(array, -1, 0), np.ones(array.shape[:2], np.bool_), Grid())


@pytest.mark.parametrize("model", ["flexunet", "resunet"])
@pytest.mark.parametrize("precision", ["32", "bf16"])
@pytest.mark.parametrize("tiling", ["whole", "tiled"])
def test_batch_mates_order_and_batch_size_change_no_bit(
    model: Literal["flexunet", "resunet"], precision: str, tiling: Literal["whole", "tiled"]
) -> None:
    record = record_of(model)
    pictures = [as_picture(noise(*shape, 3)) for shape in ((40, 50), (32, 32), (70, 33), (20, 25), (32, 32))]
    alone = predictor_of(record, precision=precision)
    expected = [alone.probabilities(picture, tiling=tiling) for picture in pictures]
    for batch_size in (1, 2, 5):
        predictor = predictor_of(record, precision=precision, settings=PredictConfig(batch_size=batch_size))
        for order in ([0, 1, 2, 3, 4], [3, 1, 4, 0, 2]):
            found = predictor.predict([pictures[i] for i in order], tiling=tiling, keep_probabilities=True)
            for index, prediction in zip(order, found, strict=True):
                assert prediction.picture is pictures[index]
                assert prediction.probabilities is not None
                assert_array_equal(prediction.probabilities, expected[index])
                assert_array_equal(prediction.labels, most_probable(expected[index]))


@pytest.mark.parametrize("sizing", ["resize", "fit", "crop"])
@pytest.mark.parametrize("shape", [(60, 60), (1, 1), (7, 90), (33, 64), (200, 30)])
def test_any_size_in_the_same_size_out(
    sizing: Literal["resize", "fit", "crop"], shape: tuple[int, int]
) -> None:
    predictor = predictor_of(record_of(sizing=sizing, classes=3))
    probabilities = predictor.probabilities(noise(*shape, 3))
    assert probabilities.shape == (3, *shape)
    assert probabilities.dtype == np.float32
    assert_allclose(probabilities.sum(0), 1, rtol=1e-5)


def test_a_picture_of_the_training_size_is_the_networks_own_answer() -> None:
    record = record_of("flexunet")
    image = noise(32, 32, 3)
    inputs = torch.from_numpy(record.bands.normalise(np.moveaxis(image, -1, 0)))[None]
    with torch.inference_mode():
        expected = torch.softmax(network_of(record)(inputs), 1)[0].numpy()
    for sizing in ("resize", "fit", "crop"):
        same = record.model_copy(update={"data": InputRecord(size=(32, 32), sizing=sizing)})
        assert_allclose(predictor_of(same).probabilities(image), expected, atol=1e-5)


def test_folding_batch_norms_changes_nothing_but_rounding_and_nothing_in_the_network() -> None:
    record = record_of("resunet")
    network = network_of(record).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    images = torch.randn(2, 3, 32, 32)
    predictor = Predictor(network, record, device="cpu", precision="32")
    assert network.training
    assert all(parameter.requires_grad for parameter in network.parameters())
    found = predictor._once(images)
    with torch.no_grad():
        assert_allclose(found, torch.softmax(network.eval()(images), 1), atol=1e-5)
    for name, tensor in network.state_dict().items():
        assert_array_equal(tensor, before[name])
    Predictor(network, record, device="cpu", precision="bf16")._once(images)
    assert {tensor.dtype for tensor in network.parameters()} == {torch.float32}


def test_bf16_agrees_with_float32_nearly() -> None:
    record, image = record_of("resunet"), noise(48, 48, 3)
    exact = predictor_of(record).probabilities(image)
    assert_allclose(predictor_of(record, precision="bf16").probabilities(image), exact, atol=0.03)


def test_padding_of_a_fitted_picture_is_cut_off() -> None:
    record = record_of(sizing="fit")
    wide = predictor_of(record).probabilities(noise(20, 80, 3), tiling="whole")
    assert wide.shape == (2, 20, 80)


def test_tiles_see_pixels_at_native_resolution_whatever_the_sizing() -> None:
    image = noise(90, 75, 3)
    found = [
        predictor_of(record_of(sizing=sizing)).probabilities(image, tiling="tiled")
        for sizing in ("resize", "fit", "crop")
    ]
    assert_array_equal(found[0], found[1])
    assert_array_equal(found[0], found[2])


def test_auto_cuts_pictures_beyond_twice_what_training_showed() -> None:
    predictor = predictor_of(record_of())
    assert len(predictor.framing((64, 64)).grid) == 1
    assert len(predictor.framing((65, 64)).grid) > 1
    assert len(predictor.framing((65, 64), "whole").grid) == 1
    seen = record_of().model_copy(update={"training": {"largest_image": [100, 80]}})
    assert len(predictor_of(seen).framing((200, 200)).grid) == 1
    assert len(predictor_of(seen).framing((200, 201)).grid) > 1


def test_an_ensemble_shows_a_picture_to_its_members_as_each_is_shown_it(tmp_path: Path) -> None:
    record = record_of().model_copy(update={"training": {"largest_image": [100, 80]}})
    paths = [tmp_path / f"{seed}.safetensors" for seed in (1, 2)]
    for seed, path in enumerate(paths):
        torch.manual_seed(seed)
        save_model(path, build_network(record.model, len(record.bands), len(record.classes)).eval(), record)
    save_ensemble(tmp_path / "ensemble.safetensors", paths)
    whole = Predictor.from_file(tmp_path / "ensemble.safetensors", device="cpu")
    members = [Predictor.from_file(path, device="cpu") for path in paths]
    for size in ((30, 32), (150, 90), (230, 90)):
        image = noise(*size, 3)
        mean = np.mean([member.probabilities(image) for member in members], axis=0)
        assert_allclose(whole.probabilities(image), mean, atol=1e-4)


def test_tile_and_halo_are_those_of_the_settings() -> None:
    predictor = predictor_of(record_of(), settings=PredictConfig(tile=40, halo=10))
    (shape,) = {window.shape for window in predictor.framing((300, 200), "tiled").grid}
    assert shape == (60, 60)
    (shape,) = {window.shape for window in predictor_of(record_of()).framing((300, 200), "tiled").grid}
    assert shape == (32, 32)


def test_turning_the_picture_turns_the_result_under_tta() -> None:
    predictor = predictor_of(record_of(sizing="crop"))
    image = noise(32, 48, 3)
    straight = predictor.probabilities(image, tta=True)
    turned = predictor.probabilities(np.ascontiguousarray(np.rot90(image)), tta=True)
    assert_allclose(np.rot90(straight, axes=(1, 2)), turned, atol=1e-6)
    mirrored = predictor.probabilities(np.ascontiguousarray(image[:, ::-1]), tta=True)
    assert_allclose(straight[:, :, ::-1], mirrored, atol=1e-6)
    assert np.abs(predictor.probabilities(image) - straight).max() > 1e-4


def test_tta_turns_each_of_the_eight_back() -> None:
    weights = torch.randn(1, 2, 5, 7)
    seen: list[Tensor] = []

    def identity(images: Tensor) -> Tensor:
        seen.append(images)
        return images

    assert_allclose(mean_of_eight(identity)(weights), weights, rtol=1e-6)
    assert len({tuple(image.flatten().tolist()) for image in seen}) == 8


def test_neighbours_of_one_shape_share_a_batch() -> None:
    sizes: list[Sequence[int]] = []

    def call(images: Tensor) -> Tensor:
        sizes.append(tuple(images.shape))
        return images

    arrays = [np.full((1, side, 2), index, np.float32) for index, side in enumerate((3, 3, 3, 4, 3))]
    outputs = list(in_batches(call, arrays, 2))
    assert [int(output[0, 0, 0]) for output in outputs] == [0, 1, 2, 3, 4]
    assert sizes == [(2, 1, 3, 2), (1, 1, 3, 2), (1, 1, 4, 2), (1, 1, 3, 2)]


def test_pixels_without_data_are_background() -> None:
    image = noise(32, 32, 4)
    image[..., 3] = 255
    image[:10, :, 3] = 0
    predictor = predictor_of(record_of(classes=3))
    assert predictor(image)[:10].max() == 0
    hidden = image.copy()
    hidden[:10, :, :3] = 77
    assert_array_equal(predictor.probabilities(hidden), predictor.probabilities(image))


def test_an_array_and_its_file_give_the_same(tmp_path: Path) -> None:
    image = noise(41, 37, 3)
    write_png(tmp_path / "höhe 1.png", image)
    record = record_of()
    save_model(tmp_path / "model.safetensors", network_of(record), record)
    predictor = Predictor.from_file(tmp_path / "model.safetensors", device="cpu", precision="32", threads=1)
    assert_array_equal(predictor(tmp_path / "höhe 1.png"), predictor(image))
    assert_array_equal(predictor(str(tmp_path / "höhe 1.png")), predictor_of(record)(image))


def test_grey_is_repeated_where_training_did_so() -> None:
    grey = noise(32, 32)
    predictor = predictor_of(record_of(channels=3))
    with pytest.raises(DataError, match="1 band; the model was trained on 3 bands"):
        predictor(grey)
    record = record_of().model_copy(update={"data": InputRecord(size=(32, 32), channels=3)})
    assert_array_equal(predictor_of(record)(grey), predictor_of(record)(np.dstack([grey] * 3)))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((8, 8, 5), np.uint8), "5 bands; the model was trained on 3 bands"),
        (np.zeros((3, 8, 9), np.uint8), r"has 9 bands; .* Arrays are \(H, W, C\), bands last"),
        (np.zeros((8, 8, 3), np.int64), "has int64 values; the model was trained on uint8"),
        (np.zeros((8, 8, 3), np.float32), "float32 values; the model was trained on uint8"),
        (np.zeros((8, 8, 3), np.uint16), "uint16 values; the model was trained on uint8"),
        (np.zeros((8,), np.uint8), r"an image is an array \(H, W\)"),
        (np.zeros((0, 8, 3), np.uint8), r"an image is an array \(H, W\)"),
    ],
)
def test_what_the_model_was_not_trained_on_is_refused(image: NDArray[Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        predictor_of(record_of())(image)


def test_wide_integers_and_floats_of_any_width_are_the_same_kind() -> None:
    record = record_of(channels=2, dtype="int16")
    wide = RNG.integers(0, 3000, (16, 16, 2))
    assert_array_equal(
        predictor_of(record)(wide.astype(np.uint16)), predictor_of(record)(wide.astype(np.int16))
    )
    floats = record_of(channels=2, dtype="float32")
    assert_array_equal(
        predictor_of(floats)(wide.astype(np.float64)), predictor_of(floats)(wide.astype(np.float32))
    )


def test_a_tie_goes_to_the_lower_class() -> None:
    assert most_probable(np.full((2, 1, 1), 0.5, np.float32)).item() == 0
    assert most_probable(np.array([0.2, 0.4, 0.4], np.float32).reshape(3, 1, 1)).item() == 1


def test_the_choice_of_device_and_precision_has_a_reason() -> None:
    assert "cpu" in str(choose_compute("cpu", "auto"))
    assert choose_compute("cpu", "32").dtype == torch.float32
    with pytest.raises(ConfigError, match="possible"):
        choose_compute("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="not available"):
            choose_compute("cuda")
