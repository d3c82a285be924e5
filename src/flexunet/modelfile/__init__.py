"""model.safetensors: the weights, and beside them everything that is needed to use them anywhere.

The record is JSON text under one key of the safetensors metadata. Nothing in the file can run code.
"""

from .agreement import check_agreement, require_bands, require_classes
from .applicability import Applicability
from .ensemble import combine, save_ensemble
from .inputs import InputRecord, scale_of, shared_inputs, shared_size
from .keras import convert_keras_model, model_from_keras
from .lineage import ORIGINS, about_model, learned_from, others_of
from .record import RECORD_VERSION, Calibration, ModelRecord, migrate
from .store import (
    MODEL_SUFFIXES,
    RECORD_KEY,
    Model,
    checksum_of,
    is_model_file,
    load_model,
    read_record,
    replace_record,
    save_model,
)

__all__ = [
    "MODEL_SUFFIXES",
    "ORIGINS",
    "RECORD_KEY",
    "RECORD_VERSION",
    "Applicability",
    "Calibration",
    "InputRecord",
    "Model",
    "ModelRecord",
    "about_model",
    "check_agreement",
    "checksum_of",
    "combine",
    "convert_keras_model",
    "is_model_file",
    "learned_from",
    "load_model",
    "migrate",
    "model_from_keras",
    "others_of",
    "read_record",
    "replace_record",
    "require_bands",
    "require_classes",
    "save_ensemble",
    "save_model",
    "scale_of",
    "shared_inputs",
    "shared_size",
]
