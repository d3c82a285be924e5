"""The reference's network and training step in Keras, from its description; runs in TensorFlow's own Python.

Speaks one JSON line an answer; `bench_train_step.py` starts it and says when to work. With TensorFlow up to
2.10 it runs in graph mode, as the reference does; later ones train in no such mode and compile the step.
"""

import json
import os
import resource
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf


def build(size, filters, kernel, levels, dropout):
    """Input 0 to 255 -> softmax probabilities, channels last."""
    layers = tf.keras.layers
    inputs = layers.Input((size, size, 3))
    x = layers.Rescaling(1 / 255)(inputs)

    def block(x, level):
        edge = max(3, kernel - 2 * level)
        settings = {"padding": "same", "activation": "relu", "kernel_initializer": "he_normal"}
        x = layers.Conv2D(filters * 2**level, edge, **settings)(x)
        x = layers.Dropout(dropout * level)(x)
        return layers.Conv2D(filters * 2**level, edge, **settings)(x)

    skips = []
    for level in range(levels):
        if level:
            skips.append(x)
            x = layers.MaxPool2D()(x)
        x = block(x, level)
    for level in range(levels - 2, -1, -1):
        x = layers.Conv2DTranspose(filters * 2**level, 2, strides=2)(x)
        x = block(layers.concatenate([x, skips.pop()]), level)
    return tf.keras.Model(inputs, layers.Conv2D(2, 1, activation="softmax")(x))


def main():
    """Arguments: a JSON object; then one line with a number of repeats for each answer."""
    setting = json.loads(sys.argv[1])
    tf.config.threading.set_intra_op_parallelism_threads(setting["threads"])
    tf.config.threading.set_inter_op_parallelism_threads(1)
    old = tuple(int(part) for part in tf.__version__.split(".")[:2]) <= (2, 10)
    if old:
        tf.compat.v1.disable_eager_execution()
    tf.random.set_seed(0)
    model = build(setting["size"], setting["filters"], setting["kernel"], setting["levels"], 0.04)
    rng = np.random.default_rng(0)
    batch = setting["batch"]
    images = rng.integers(0, 256, (batch, setting["size"], setting["size"], 3), np.uint8).astype(np.float32)
    truth = np.eye(2, dtype=np.float32)[rng.integers(0, 2, images.shape[:3])]
    if setting["job"] == "train":
        optimizers = tf.keras.optimizers
        adam = optimizers.Adam(learning_rate=7e-5, clipvalue=0.5, epsilon=1e-7)
        model.compile(adam, "categorical_crossentropy")

        def work():
            return float(model.train_on_batch(images, truth))
    else:

        def work():
            return float(model.predict_on_batch(images).mean())

    first = work()
    say({"ready": f"TensorFlow {tf.__version__}", "parameters": model.count_params(), "first": first})
    for line in sys.stdin:
        seconds, busy = [], []
        for _ in range(int(line)):
            started, used = time.perf_counter(), time.process_time()
            work()
            seconds.append(time.perf_counter() - started)
            busy.append(time.process_time() - used)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        say({"seconds": seconds, "cpu_seconds": busy, "peak_mb": peak})


def say(answer):
    """One line of JSON."""
    print(json.dumps(answer), flush=True)


main()
