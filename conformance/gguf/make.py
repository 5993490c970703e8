"""Makes what `answers.rs` beside this file is asked about: prompts to a real model, and random blocks of every kind of packing."""

import json
import shutil
import sys
from pathlib import Path

import numpy
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, dequantize

KINDS = ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"]
# Where in a block the half-precision numbers are, which must be numbers.
HALVES = {"F16": [0], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}

PROMPTS = [
    "What is the capital of France?",
    "Write one sentence about starlings.",
    "List three primary colours.",
    "What is 7 plus 5?",
    "Translate 'good morning' into French.",
    "Why is the sky blue? Answer briefly.",
    "Name a fruit that is yellow.",
    "Write a haiku about the sea.",
    "What does a compiler do?",
    "Say hello to Zoë 🦜 in one word.",
]


def model(folder, file):
    shutil.copyfile(file, folder / "model.gguf")
    (folder / "prompts.json").write_text(json.dumps(PROMPTS))


def blocks(folder):
    (folder / "blocks").mkdir()
    random = numpy.random.default_rng(1)
    for name in KINDS:
        kind = GGMLQuantizationType[name]
        numbers, size = GGML_QUANT_SIZES[kind]
        block = random.integers(0, 256, (4096, size), dtype=numpy.uint8)
        for at in HALVES.get(name, []):
            # Any half but infinities and NaN, subnormals among them.
            block[:, at + 1] = numpy.where((block[:, at + 1] & 0x7C) == 0x7C, block[:, at + 1] & 0x83, block[:, at + 1])
        if name == "F32":
            block[:, 3] &= 0x3F
        if name == "BF16":
            block[:, 1] &= 0x3F
        block.tofile(folder / "blocks" / f"{name}.packed")
        unpacked = dequantize(block.view(numpy.float32) if name == "F32" else block, kind)
        unpacked.astype("<f4").tofile(folder / "blocks" / f"{name}.theirs")


if __name__ == "__main__":
    model(Path(sys.argv[1]), sys.argv[2])
    blocks(Path(sys.argv[1]))
