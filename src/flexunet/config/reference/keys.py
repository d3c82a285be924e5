"""Every section and key of the reference's dialect: what it takes, and which have no effect here."""

from __future__ import annotations

from enum import Enum


class Kind(Enum):
    """What a key takes, in the words of an error message."""

    FLAG = "True or False"
    WHOLE = "a whole number"
    NUMBER = "a number"
    TEXT = 'text in quotes, "…"'
    PATH = 'a path in quotes, "…"'
    TEXTS = 'a list of texts in quotes, ["…", "…"]'
    NUMBERS = "a list of numbers, [1, 2]"
    PAIR = "a pair of whole numbers, (3,3)"
    POINTS = "a list of pairs of numbers, [(0.5, 0.5)]"
    COLOURS = "colours and class numbers, {(0,0,0):0, (255,255,0):1}"


FLAG, WHOLE, NUMBER, TEXT, PATH = Kind.FLAG, Kind.WHOLE, Kind.NUMBER, Kind.TEXT, Kind.PATH
_FOLDERS = {"images_dir": PATH, "masks_dir": PATH}

KEYS: dict[str, dict[str, Kind]] = {
    "model": {
        "model": TEXT, "generator": FLAG, "image_width": WHOLE, "image_height": WHOLE,
        "image_channels": WHOLE, "num_classes": WHOLE, "input_normalize": FLAG, "activation": TEXT,
        "normalization": FLAG, "base_filters": WHOLE, "base_kernels": Kind.PAIR, "num_layers": WHOLE,
        "dropout_rate": NUMBER,
        "dilation": Kind.PAIR, "final_activation": TEXT, "optimizer": TEXT, "learning_rate": NUMBER,
        "clipvalue": NUMBER, "loss": TEXT, "metrics": Kind.TEXTS,
    },
    "train": {
        **_FOLDERS, "epochs": WHOLE, "batch_size": WHOLE, "patience": WHOLE, "metrics": Kind.TEXTS,
        "model_dir": PATH, "eval_dir": PATH, "learning_rate_reducer": FLAG, "reducer_factor": NUMBER,
        "reducer_patience": WHOLE, "epoch_change_infer": FLAG, "epoch_change_infer_dir": PATH,
        "epoch_change_tiled_infer": FLAG, "epoch_change_tiled_infer_dir": PATH, "num_infer_images": WHOLE,
        "steps_per_epoch": WHOLE, "validation_steps": WHOLE,
    },
    "valid": _FOLDERS,
    "test": _FOLDERS,
    "eval": {"eval_dir": PATH, "batch_size": WHOLE},
    "infer": {"images_dir": PATH, "output_dir": PATH},
    "tiledinfer": {"images_dir": PATH, "output_dir": PATH, "split_size": WHOLE, "overlapping": WHOLE},
    "segmentation": {"colorize": FLAG, "black": TEXT, "white": TEXT},
    "image": {"color_order": TEXT},
    "mask": {"mask_file_format": TEXT, "rgb_map": Kind.COLOURS, "binarize": FLAG, "threshold": WHOLE},
    "generator": {"augmentation": FLAG},
    "augmentor": {
        "hflip": FLAG, "vflip": FLAG, "rotation": FLAG, "angles": Kind.NUMBERS, "shrinks": Kind.NUMBERS,
        "shears": Kind.NUMBERS, "deformation": FLAG, "distortion": FLAG, "sharpening": FLAG,
        "brightening": FLAG, "barrdistortion": FLAG, "pincdistortion": FLAG,
    },
    "deformation": {"alpha": NUMBER, "sigmoids": Kind.NUMBERS},
    "distortion": {
        "gaussian_filter_rsigma": NUMBER, "gaussian_filter_sigma": NUMBER, "distortions": Kind.NUMBERS,
    },
    "sharpening": {"k": NUMBER},
    "brightening": {"alpha": NUMBER, "beta": NUMBER},
    "barrdistortion": {"radius": NUMBER, "amount": NUMBER, "centers": Kind.POINTS},
    "pincdistortion": {"radius": NUMBER, "amount": NUMBER, "centers": Kind.POINTS},
}  # fmt: skip
"""Keys that take effect, in the spelling of the present generation."""

ELDER: dict[tuple[str, str], tuple[str, str]] = {
    ("train", "image_datapath"): ("train", "images_dir"),
    ("train", "mask_datapath"): ("train", "masks_dir"),
    ("valid", "image_datapath"): ("valid", "images_dir"),
    ("valid", "mask_datapath"): ("valid", "masks_dir"),
    ("eval", "image_datapath"): ("valid", "images_dir"),
    ("eval", "mask_datapath"): ("valid", "masks_dir"),
    ("eval", "images_dir"): ("valid", "images_dir"),
    ("eval", "masks_dir"): ("valid", "masks_dir"),
    ("test", "image_datapath"): ("test", "images_dir"),
    ("test", "mask_datapath"): ("test", "masks_dir"),
    ("train", "epoch_change_tiledinfer"): ("train", "epoch_change_tiled_infer"),
    ("train", "epoch_change_tiledinfer_dir"): ("train", "epoch_change_tiled_infer_dir"),
}
"""How the elder generation (`TensorflowUNet`) spells keys: as good as the present spelling."""

MISSPELT: dict[tuple[str, str], str] = {("deformation", "alpah"): "alpha"}
"""Near-misses that every file of the family has, because the reference's own code has them."""

WITHOUT_EFFECT: dict[str, set[str]] = {
    "model": {"show_summary", "dropout_seed_fixing", "color_order"},
    "train": {"create_backup", "save_weights_only"},
    "dataset": {"class_name", "datasetclass", "resize_interpolation"},
    "tiledinfer": {"merged_dir", "debug"},
    "segmentation": {"blursize"},
    "image": {"color_converter", "gamma", "sharpening"},
    "mask": {"mask_datatype", "blur", "blur_size"},
    "generator": {"debug", "verbose"},
    "debug": {"verbose"},
}
"""Keys of the family's files that mean nothing here."""

SILENT_SECTIONS = {"datasetclass", "transformer", "inspect", "preprocessor", "infer3d", "dataset", "debug"}
"""Sections that are known and of which nothing takes effect."""

NETWORKS = {"tensorflowflexunet", "tensorflowunet", "tensorflowslightlyflexibleunet", "flexunet"}
"""Values of model.model that name the network of free depth, width and kernel size."""

OTHER_NETWORKS = {
    "tensorflowflexattentionunet", "tensorflowflexdeeplabv3plus", "tensorflowflexefficientnetb7unet",
    "tensorflowflexefficientunet", "tensorflowflexmultiresunet", "tensorflowflexsharpunet",
    "tensorflowflexswinunet", "tensorflowflextransunet", "tensorflowflexu2net", "tensorflowflexunet3plus",
}  # fmt: skip
"""Values of model.model for which the reference has other networks."""

AUGMENTOR_DEFAULTS = {"hflip", "vflip", "rotation"}
"""Operations of [augmentor] that are on when they are not written."""
