"""A reference config in native keys: what each of its keys means here."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import get_args

from ..draft import Draft, Place
from ..schema import Activation, LossName
from .augmentation import translate_augmentation
from .classes import class_tree
from .ini import read_ini
from .keys import NETWORKS, OTHER_NETWORKS
from .native import Native
from .values import Value, Values

_OPTIMIZERS = ("adam", "adamw", "sgd")


def read_reference(text: str, path: Path) -> Draft:
    """A reference config as a draft in native keys; problems keep the lines and keys of its own text."""
    values = Values(read_ini(text, path), path, text)
    draft = Draft(path)
    translation = _Translation(values, draft)
    translation.data()
    translation.model()
    translation.train()
    translate_augmentation(translation, online=translation.online)
    translation.use()
    translation.output()
    if values.ignored:
        values.notes.append(f"Without effect here: {', '.join(values.ignored)}.")
    draft.notes += values.notes
    draft.problems += values.problems
    return draft


class _Translation(Native):
    """Section by section, from the reference's keys to native ones."""

    def __init__(self, values: Values, draft: Draft) -> None:
        super().__init__(values, draft)
        self.one_class = values.get("model", "num_classes") == 1
        self.online = values.get("model", "generator", False)

    # ------------------------------------------------------------------------------------------------ data

    def data(self) -> None:
        values = self.values
        self.put("data.classes", class_tree(values), "mask.rgb_map", "model.num_classes")
        self.folders("train", "train")
        self.folders("valid", "valid")
        self.folders("test", "test")
        splits = self.draft.tree["data"]
        if "eval" in values.sections and "valid" in splits and "test" not in splits:
            splits["test"] = dict(splits["valid"])
            values.notes.append(
                "[eval] is the only split beside [train]: it serves for validation and as the test split, so "
                "scores are of images that chose the best epoch."
            )
        self.size()
        self.masks()
        colours = values.written("image", "color_order")
        if colours is not None and colours.value.upper() == "BGR":
            self.put("data.bands", [3, 2, 1], "image.color_order")
        elif colours is not None and colours.value.upper() != "RGB":
            values.problem(colours.entry, f"{colours.value!r} is no order.", 'Expected "RGB" or "BGR".')
        normalise = values.get("model", "input_normalize", True)
        self.put("data.normalisation", "scale255" if normalise else "none", "model.input_normalize")
        self.put("data.sizing", "resize")
        self.put("data.alpha", "ignore")

    def folders(self, native: str, section: str) -> None:
        values = self.values
        images, masks = values.get(section, "images_dir"), values.get(section, "masks_dir")
        if images is None and masks is None:
            return
        if images is None:
            values.missing(section, "images_dir", "Its masks_dir is written.")
            return
        self.put(f"data.{native}.images", [images], f"{section}.images_dir")
        if masks is not None:
            self.put(f"data.{native}.masks", [masks], f"{section}.masks_dir")
        self.draft.places["data", native] = self.draft.places["data", native, "images"]

    def size(self) -> None:
        values = self.values
        for key in ("image_height", "image_width"):
            if values.written("model", key) is None:
                values.missing("model", key, f"For example {key} = 512.")
        height, width = values.get("model", "image_height", 512), values.get("model", "image_width", 512)
        self.put("data.size", [height, width], "model.image_height", "model.image_width")
        for place, key in enumerate(("image_height", "image_width")):
            written = values.written("model", key)
            if written is not None:
                self.draft.places["data", "size", place] = Place(written.entry.line, written.written_as)
        self.copy("data.channels", "model.image_channels", 3)

    def masks(self) -> None:
        values = self.values
        # the reference snaps every colour to the nearest; thin structures are blended edges in large part
        self.put("data.off_map_tolerance", 0.2)
        if self.one_class:
            self.put("data.mask_encoding", "threshold")
            threshold = values.get("mask", "threshold", 128)
            binarize = values.written("mask", "binarize")
            if binarize is not None and not binarize.value:
                values.note(
                    binarize.entry,
                    f"masks should have two values then; grey from {threshold} up is the object.",
                )
            self.put("data.threshold", threshold - 1, "mask.threshold")  # it counts from the threshold up
            values.drop("mask", "rgb_map", "one class")
            if not values.get("segmentation", "colorize", False):
                values.drop_sections(("segmentation",), "only with colorize = True")
            return
        form = values.written("mask", "mask_file_format")
        one_hot = form is not None and form.value.lower().lstrip(".") == "npz"
        self.put("data.mask_encoding", "onehot" if one_hot else "colours", "mask.mask_file_format")
        for key in ("binarize", "threshold"):
            values.drop("mask", key, "only with num_classes = 1")
        values.drop_sections(("segmentation",), "only with num_classes = 1")

    # ----------------------------------------------------------------------------------------------- model

    def model(self) -> None:
        values = self.values
        self.network()
        self.put("model.architecture", "flexunet", "model.model")
        self.needed("model.base_filters", "model.base_filters", 16)
        self.needed("model.dropout_rate", "model.dropout_rate", 0.05)
        self.copy("model.num_layers", "model.num_layers", 6)
        self.copy("model.normalization", "model.normalization", False)
        self.put("model.activation", self.activation(), "model.activation")
        self.put("model.sigmoid", self.one_class, "model.num_classes")
        kernels = values.written("model", "base_kernels")
        first, last = (3, 3) if kernels is None else kernels.value
        if kernels is not None and first != last:
            values.note(kernels.entry, f"kernels are square; the last number counts: ({last},{last}).")
        self.put("model.base_kernels", [last, last], "model.base_kernels")
        dilation = values.written("model", "dilation")
        self.put("model.dilation", list(dilation.value if dilation else (1, 1)), "model.dilation")
        self.final_activation()

    def network(self) -> None:
        written = self.values.written("model", "model")
        if written is None:
            return
        name = written.value.lower()
        if name in NETWORKS:
            return
        cure = 'Expected "TensorFlowFlexUNet".'
        if name in OTHER_NETWORKS or not difflib.get_close_matches(name, NETWORKS, n=1, cutoff=0.85):
            self.values.problem(written.entry, f"{written.value!r} is no network that is known here.", cure)
        else:
            self.values.note(written.entry, f"{written.value!r} resembles TensorFlowFlexUNet; taken for it.")

    def activation(self) -> str:
        """The activation by its Keras name; `tf.nn.elu` and the like name it too."""
        written = self.values.written("model", "activation")
        if written is None:
            return "relu"
        return self.one_of(written, written.value.removesuffix("()").rsplit(".", 1)[-1], get_args(Activation))

    def final_activation(self) -> None:
        written = self.values.written("model", "final_activation")
        if written is None:
            return
        if not self.one_class:
            self.values.drop("model", "final_activation", "softmax for more than one class")
        elif written.value.lower() != "sigmoid":
            self.values.problem(written.entry, f"{written.value!r} for one class.", 'Expected "sigmoid".')

    def one_of(self, written: Value, name: str, known: tuple[str, ...]) -> str:
        """A name of a closed set, whatever its case; a problem with the nearest one where it is none."""
        if name.lower() in known:
            return name.lower()
        near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.7)
        cure = f'Did you mean "{near[0]}"?' if near else f"Expected one of {', '.join(known)}."
        self.values.problem(written.entry, f"{written.value!r} is not known.", cure)
        return known[0]

    # ----------------------------------------------------------------------------------------------- train

    def train(self) -> None:
        self.copy("train.epochs", "train.epochs", 100)
        self.copy("train.batch_size", "train.batch_size", 4)
        self.steps()
        self.put("train.seed", 137)
        self.loss()
        self.optimizer()
        self.schedule()
        patience = self.values.get("train", "patience", 10)
        if patience > 0:
            self.put("train.patience", patience, "train.patience")
        self.put("train.monitor", "val_loss")
        self.put("train.ema", 0.0)
        self.put("train.precision", "32")
        self.epoch_pictures()

    def steps(self) -> None:
        if self.online:
            self.copy("train.steps_per_epoch", "train.steps_per_epoch", 400)
            self.copy("train.validation_steps", "train.validation_steps", 800)
            return
        for key in ("steps_per_epoch", "validation_steps"):
            self.values.drop("train", key, "only with generator = True")

    def loss(self) -> None:
        written = self.values.written("model", "loss")
        usual = "binary_crossentropy" if self.one_class else "categorical_crossentropy"
        name = usual if written is None else self.one_of(written, written.value, get_args(LossName))
        self.put("train.loss", [{"name": name, "weight": 1.0}], "model.loss")
        self.put("train.class_weights", "none")

    def optimizer(self) -> None:
        written = self.values.written("model", "optimizer")
        name = "adam" if written is None else self.one_of(written, written.value, _OPTIMIZERS)
        self.put("train.optimizer", name, "model.optimizer")
        self.copy("train.learning_rate", "model.learning_rate", 0.0001)
        # Keras' own defaults: AdamW decays by 0.004, SGD has no momentum, epsilon is 1e-7
        self.put("train.weight_decay", 0.004 if name == "adamw" else 0.0)
        self.put("train.momentum", 0.0)
        self.put("train.epsilon", 1e-7)
        self.put("train.clip_norm", None)
        clip = self.values.get("model", "clipvalue", 0.2)
        if clip != 0:
            self.put("train.clip_value", clip, "model.clipvalue")

    def schedule(self) -> None:
        reducing = self.values.get("train", "learning_rate_reducer", False)
        self.put("train.schedule", "plateau" if reducing else "constant", "train.learning_rate_reducer")
        if reducing:
            self.copy("train.reducer_factor", "train.reducer_factor", 0.4)
            self.copy("train.reducer_patience", "train.reducer_patience", 4)
            return
        for key in ("reducer_factor", "reducer_patience"):
            self.values.drop("train", key, "only with learning_rate_reducer = True")

    def epoch_pictures(self) -> None:
        values = self.values
        whole = values.get("train", "epoch_change_infer", True)
        tiled = values.get("train", "epoch_change_tiled_infer", False)
        number = max(1, values.get("train", "num_infer_images", 6)) if whole or tiled else 0
        self.put("train.epoch_pictures", number, "train.num_infer_images")
        self.put("train.epoch_pictures_whole", whole, "train.epoch_change_infer")
        self.put("train.epoch_pictures_tiled", tiled, "train.epoch_change_tiled_infer")
        self.copy("train.epoch_pictures_images", "infer.images_dir")

    # ---------------------------------------------------------------------------------- evaluate and predict

    def use(self) -> None:
        self.copy("evaluate.batch_size", "eval.batch_size", 4)
        self.copy("predict.images", "infer.images_dir")
        self.copy("predict.out", "infer.output_dir")
        self.copy("predict.tiled_images", "tiledinfer.images_dir")
        self.copy("predict.tiled_out", "tiledinfer.output_dir")
        self.put("predict.tiling", "whole")
        self.copy("predict.tile", "tiledinfer.split_size", 512)
        self.copy("predict.halo", "tiledinfer.overlapping", 64)

    def output(self) -> None:
        values = self.values
        self.put("output.dir", ".")
        self.put("output.layout", "reference")
        self.copy("output.model_dir", "train.model_dir", "./models")
        eval_dir = values.get("eval", "eval_dir") or values.get("train", "eval_dir", "./eval")
        self.put("output.eval_dir", eval_dir, "eval.eval_dir", "train.eval_dir")
        self.copy("output.epoch_pictures_dir", "train.epoch_change_infer_dir", "./epoch_change_infer")
        self.copy(
            "output.epoch_pictures_tiled_dir",
            "train.epoch_change_tiled_infer_dir",
            "./epoch_change_tiled_infer",
        )
        names = values.get("model", "metrics") or ["dice_coef_multiclass"]
        self.put("evaluate.metric", names[0], "model.metrics")
        logged = values.get("train", "metrics") or [name for n in names for name in (n, f"val_{n}")]
        self.put("output.metrics", logged, "train.metrics", "model.metrics")
