"""Compares what `answers.rs` beside this file made of the blocks and the model with the `gguf` package and `transformers`.

`transformers` reads the same file itself, in 32 bits, with the numbers that the `gguf` package unpacks. Blocks and weights must be equal to the
bit; prompts and greedy answers must be the same tokens. Exits 1 if anything differs.
"""

import json
import os
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

failed = 0


def judge(what, good, note=""):
    global failed
    failed += not good
    print(f"  {'ok    ' if good else 'DIFFER'} {what:48} {note}")


def blocks(folder):
    for theirs in sorted((folder / "blocks").glob("*.theirs")):
        a, b = (numpy.fromfile(f, dtype="<u4") for f in (theirs, theirs.with_suffix(".ours")))
        judge(f"blocks of {theirs.stem}", a.shape == b.shape and (a == b).all(), f"{a.size} numbers, to the bit")


def model(folder):
    theirs = AutoModelForCausalLM.from_pretrained(folder, gguf_file="model.gguf", dtype=torch.float32)
    saved = AutoModelForCausalLM.from_pretrained(folder / "ours", dtype=torch.float32)
    a, b = theirs.state_dict(), saved.state_dict()
    wrong = [name for name in a if name not in b or not torch.equal(a[name], b[name])]
    judge("weights, loaded by us and saved", not wrong and a.keys() == b.keys(), f"{len(a)} tensors, to the bit" + (f"; not {wrong[:3]}" if wrong else ""))
    tokenizers = [AutoTokenizer.from_pretrained(folder, gguf_file="model.gguf"), AutoTokenizer.from_pretrained(folder / "ours")]
    prompts, ours = (json.loads((folder / f).read_text()) for f in ("prompts.json", "ours.json"))
    same = 0
    for i, (prompt, our) in enumerate(zip(prompts, ours)):
        chat = [{"role": "user", "content": prompt}]
        asked = [t.apply_chat_template(chat, add_generation_prompt=True, return_dict=False) for t in tokenizers]
        judge(f"prompt {i + 1}: tokens", asked[0] == asked[1] == our["prompt"], f"{len(our['prompt'])} tokens")
        ids = torch.tensor([our["prompt"]])
        with torch.no_grad():
            if i == 0:
                logits = theirs(ids).logits[0]
                difference = (torch.from_numpy(numpy.fromfile(folder / "logits.f32", dtype="<f4")).view_as(logits) - logits).abs().max().item()
                judge("logits of the first prompt", difference < 1e-3, f"max difference {difference:.1e}, logits up to {logits.abs().max():.1f}")
            said = theirs.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=64, do_sample=False)[0, ids.shape[1] :].tolist()
        judge(f"prompt {i + 1}: greedy answer", said == our["answer"], repr(our["text"][:60]))
        text = tokenizers[0].decode(said, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        judge(f"prompt {i + 1}: its text", text == our["text"])
        same += said == our["answer"]
    print(f"  {same} of {len(prompts)} answers are the same")


if __name__ == "__main__":
    blocks(Path(sys.argv[1]))
    model(Path(sys.argv[1]))
    sys.exit(1 if failed else 0)
