"""Compares what `answers.rs` beside this file made of the models, texts and conversations with what `transformers` makes of them.

Logits may differ by 1e-4 in 32 bits; everything else must be the same. Prints a line for each thing compared and exits 1 if one differs.
"""

import json
import os
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

LIMIT = 1e-4
ANSWER = 200
failed = 0


def judge(what, good, note=""):
    global failed
    failed += not good
    print(f"  {'ok    ' if good else 'DIFFER'} {what:48} {note}")


def read(path):
    return json.loads(Path(path).read_text())


def models(folder):
    for at in sorted((folder / "models").iterdir()):
        prompts, greedy = read(at / "prompts.json"), read(at / "greedy.json")
        theirs = AutoModelForCausalLM.from_pretrained(at, dtype=torch.float32)
        again = AutoModelForCausalLM.from_pretrained(at / "ours", dtype=torch.float32)
        ours = torch.from_numpy(numpy.fromfile(at / "logits.f32", dtype="<f4"))
        offset, worst, saved, spread = 0, 0.0, 0.0, 0.0
        with torch.no_grad():
            for prompt in prompts:
                ids = torch.tensor([prompt])
                logits = theirs(ids).logits[0]
                n = logits.numel()
                worst = max(worst, (ours[offset : offset + n].view_as(logits) - logits).abs().max().item())
                saved = max(saved, (again(ids).logits[0] - logits).abs().max().item())
                spread = max(spread, logits.abs().max().item())
                offset += n
            same = 0
            answers = min(ANSWER, theirs.config.max_position_embeddings - max(map(len, prompts)))
            for prompt, answer in zip(prompts, greedy):
                ids = torch.tensor([prompt])
                said = theirs.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=answers, do_sample=False, eos_token_id=None, pad_token_id=0)
                same += said[0, len(prompt) :].tolist() == answer and len(answer) == answers
        judge(f"{at.name}: logits", offset == ours.numel() and worst <= LIMIT, f"max difference {worst:.1e}, logits up to {spread:.1f}")
        # Its products may round otherwise from one loading to the next: so the weights are compared to the bit, and the logits within the limit.
        a, b = theirs.state_dict(), again.state_dict()
        equal = a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
        judge(f"{at.name}: saved by us, loaded by transformers", equal and saved <= LIMIT, f"max difference {saved:.1e}")
        judge(f"{at.name}: greedy answers of {answers} tokens", same == len(prompts), f"{same} of {len(prompts)}")


        if (at / "questions.json").exists():
            tokens(at.name, AutoTokenizer.from_pretrained(at), read(at / "questions.json"), read(at / "tokens.json"))


def tokens(name, tokenizer, texts, ours):
    kinds = {
        "tokens": lambda t, ids: tokenizer.encode(t, add_special_tokens=False),
        "alone": lambda t, ids: tokenizer.encode(t),
        "text": lambda t, ids: tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False),
        "with_special": lambda t, ids: tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False),
        "streamed": lambda t, ids: tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False),
    }
    for kind, work in kinds.items():
        wrong = [t for t, o in zip(texts, ours) if work(t, o["tokens"]) != o[kind]]
        judge(f"tokenizer {name}: {kind}", not wrong, f"{len(texts) - len(wrong)} of {len(texts)} texts" + (f", not {wrong[0]!r}" if wrong else ""))


def tokenizers(folder):
    texts = read(folder / "texts.json")
    for at in sorted((folder / "tokenizers").iterdir()):
        tokens(at.name, PreTrainedTokenizerFast(tokenizer_file=str(at / "tokenizer.json")), texts, read(at / "ours.json"))
    for at in sorted((folder / "small").iterdir()):
        tokenizer = AutoTokenizer.from_pretrained(at)
        ours = read(at / "ours.json")
        tokens(at.name, tokenizer, ours["texts"], ours["tokens"])
        model = AutoModelForCausalLM.from_pretrained(at)
        ends = (tokenizer.eos_token_id, tokenizer.pad_token_id, model.generation_config.eos_token_id)
        judge(f"tokenizer {at.name}: its special tokens", ends == (1, 0, 1), str(ends))
        said = tokenizer.apply_chat_template([{"role": "user", "content": "1+1"}], tokenize=False)
        judge(f"tokenizer {at.name}: its template", said == "1+1=", repr(said))


def chats(folder):
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizers" / "gpt2" / "tokenizer.json"), bos_token="<s>", eos_token="</s>")
    rendered, conversations = read(folder / "rendered.json"), read(folder / "chats.json")
    for name, template in read(folder / "templates.json").items():
        wrong = []
        for ours, chat in zip(rendered[name], conversations):
            for answer in (False, True):
                theirs = tokenizer.apply_chat_template(chat, chat_template=template, tokenize=False, add_generation_prompt=answer)
                if theirs != ours[answer]:
                    wrong.append((theirs, ours[answer]))
        judge(f"template {name}", not wrong, f"{2 * len(conversations) - len(wrong)} of {2 * len(conversations)}" + (f": {wrong[0][0]!r} and ours {wrong[0][1]!r}" if wrong else ""))


if __name__ == "__main__":
    torch.manual_seed(0)
    models(Path(sys.argv[1]))
    tokenizers(Path(sys.argv[1]))
    chats(Path(sys.argv[1]))
    sys.exit(1 if failed else 0)
