"""PyTorch as a peer of the benches: a child process that speaks JSON lines on stdin and stdout.

    {"do": "prepare", "what": "gemm", "m": 64, "n": 64, "k": 64, "layout": "NT", "threads": 1, "out": "result.f32"}
        -> {"id": 0}            inputs made, run once to warm up, the result written (little-endian f32)
    {"do": "time", "id": 0, "reps": 10}
        -> {"seconds": 1.2e-5}  per call
    {"do": "drop", "id": 0}
        -> {}

What goes wrong is answered as {"error": "..."}. Inputs come from `fill`, which the benches have too, so that both sides do
the same work on the same numbers. Time is the processor time of the process when one thread works, so that other programs
on the machine do not blur it, and wall time when several do; the harness measures itself the same way.
"""

import json
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F


def fill(seed, *shape, scale=1.0):
    """Numbers in [-scale, scale) that depend on seed and index alone: the finaliser of MurmurHash3."""
    x = np.arange(int(np.prod(shape)), dtype=np.uint32) * np.uint32(0x9E3779B1) + np.uint32(seed * 0x3C6EF372 & 0xFFFFFFFF)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        x ^= x >> np.uint32(shift)
        x *= np.uint32(factor)
    values = (x >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-23) - np.float32(1.0)
    return torch.from_numpy((values * np.float32(scale)).reshape(shape))


def ids(seed, below, *shape):
    """Token numbers from the same numbers."""
    return ((fill(seed, *shape) + 1.0) * (below / 2.0)).long().clamp_(0, below - 1)


# Each of these gives (call, result): `call` does the work once, `result` gives the tensors to compare.


def gemm(m, n, k, layout, batch=1, **_):
    a = fill(1, batch, k, m).transpose(1, 2) if layout[0] == "T" else fill(1, batch, m, k)
    b = fill(2, batch, n, k).transpose(1, 2) if layout[1] == "T" else fill(2, batch, k, n)
    c = torch.empty(batch, m, n)
    if batch == 1:
        a, b, c = a[0], b[0], c[0]
        return lambda: torch.mm(a, b, out=c), lambda: [c]
    return lambda: torch.bmm(a, b, out=c), lambda: [c]


MATH = {"exp": torch.exp, "log": torch.log, "tanh": torch.tanh, "sin": torch.sin, "cos": torch.cos, "rsqrt": torch.rsqrt}


def math(function, n, **_):
    x = fill(1, n, scale=8.0)
    if function in ("log", "rsqrt"):
        x = x.abs() + 0.015625
    y = torch.empty(n)
    if function == "silu":
        # F.silu has no `out`; the operator below it does.
        return lambda: torch.ops.aten.silu.out(x, out=y), lambda: [y]
    f = MATH[function]
    return lambda: f(x, out=y), lambda: [y]


def conv(layers, channels, size, format, backward, **_):
    memory = torch.channels_last_3d if format == "channels_last_3d" else torch.contiguous_format
    # The product keeps channels last; the numbers are laid out as there and then viewed as PyTorch has them.
    bound = (27 * channels) ** -0.5
    x = fill(1, 1, *size, channels).permute(0, 4, 1, 2, 3).contiguous(memory_format=memory).requires_grad_(backward)
    weights = [fill(2 + i, 3, 3, 3, channels, channels, scale=3.0 * bound).permute(4, 3, 0, 1, 2) for i in range(layers)]
    weights = [w.contiguous(memory_format=memory).requires_grad_(backward) for w in weights]
    seen = {}

    def forward():
        h = x
        for w in weights:
            h = F.relu(F.conv3d(h, w, padding=1))
        return h

    def both():
        h = forward()
        seen["grads"] = torch.autograd.grad(h.sum(), [x, *weights])

    def only_forward():
        with torch.inference_mode():
            seen["y"] = forward()

    def result():
        if not backward:
            return [seen["y"].permute(0, 2, 3, 4, 1)]
        dx, *dw = seen["grads"]
        return [dx.permute(0, 2, 3, 4, 1), *(d.permute(2, 3, 4, 1, 0) for d in dw)]

    return (both if backward else only_forward), result


class Decoder(torch.nn.Module):
    """Llama's block: RMSNorm, rotary positions, causal attention, SwiGLU; the head shares the embedding."""

    def __init__(self, layers, d, heads, d_ff, vocab, length):
        super().__init__()
        self.heads = heads
        self.embedding = torch.nn.Parameter(fill(1, vocab, d, scale=0.05))
        self.layers = torch.nn.ParameterList()
        for layer in range(layers):
            # The product stores a weight as [in, out], a PyTorch user as [out, in].
            w = lambda i, rows, columns: fill(10 + 10 * layer + i, rows, columns, scale=rows**-0.5).t().contiguous()
            attention = [w(i, d, d) for i in range(4)]
            mlp = [w(4, d, d_ff), w(5, d, d_ff), w(6, d_ff, d)]
            self.layers.append(torch.nn.ParameterList([torch.ones(d), *attention, torch.ones(d), *mlp]))
        self.norm = torch.nn.Parameter(torch.ones(d))
        half = d // heads // 2
        angle = torch.arange(length).double()[:, None] * 10000.0 ** (-torch.arange(half).double() / half)
        self.register_buffer("cos", torch.cat([angle.cos()] * 2, 1).float(), persistent=False)
        self.register_buffer("sin", torch.cat([-angle.sin(), angle.sin()], 1).float(), persistent=False)

    def rotate(self, x):
        half = x.shape[-1] // 2
        return x * self.cos + torch.cat([x[..., half:], x[..., :half]], -1) * self.sin

    def forward(self, tokens):
        b, t = tokens.shape
        x = F.embedding(tokens, self.embedding)
        d = x.shape[-1]
        # Joining q, k and v, or gate and up, into one weight was measured and is slower here.
        for norm1, wq, wk, wv, wo, norm2, gate, up, down in self.layers:
            h = F.rms_norm(x, (d,), norm1, 1e-5)
            q, k, v = (F.linear(h, w).view(b, t, self.heads, -1).transpose(1, 2) for w in (wq, wk, wv))
            h = F.scaled_dot_product_attention(self.rotate(q), self.rotate(k), v, is_causal=True)
            x = x + F.linear(h.transpose(1, 2).reshape(b, t, d), wo)
            h = F.rms_norm(x, (d,), norm2, 1e-5)
            x = x + F.linear(F.silu(F.linear(h, gate)) * F.linear(h, up), down)
        return F.linear(F.rms_norm(x, (d,), self.norm, 1e-5), self.embedding)


def train(layers, d, heads, d_ff, vocab, batch, length, compiled=False, **_):
    model = Decoder(layers, d, heads, d_ff, vocab, length)
    tokens, targets = ids(2, vocab, batch, length), ids(3, vocab, batch, length)
    parameters = list(model.parameters())
    optimiser = torch.optim.AdamW(parameters, lr=1e-3, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1, fused=True)
    forward = torch.compile(model) if compiled else model
    seen = {"loss": []}

    def step():
        loss = F.cross_entropy(forward(tokens).view(-1, vocab), targets.view(-1))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(parameters, 1.0, foreach=True)
        optimiser.step()
        if len(seen["loss"]) < 8:
            seen["loss"] += [loss.detach().view(1), norm.view(1)]

    # Loss and gradient norm of the first steps: four of them, so that the update is compared too.
    def result():
        while len(seen["loss"]) < 8:
            step()
        return seen["loss"]

    return step, result


def speak(layers, d, heads, d_ff, vocab, batch, length, prompt, seen, **_):
    """Draws `length` tokens after each prompt: keys and values in tensors made once, everything else in as few calls as can be."""
    model = Decoder(layers, d, heads, d_ff, vocab, prompt + length)
    each = d // heads
    # With so few rows the calls weigh more than the products: here joined weights are faster.
    blocks = [
        (norm1, torch.cat([wq, wk, wv]), wo, norm2, torch.cat([gate, up]), down)
        for norm1, wq, wk, wv, wo, norm2, gate, up, down in (tuple(w.detach() for w in layer) for layer in model.layers)
    ]
    embedding, last_norm = model.embedding.detach(), model.norm.detach()
    cache = torch.zeros(layers, 2, batch, heads, prompt + length, each)
    tokens = ids(2, vocab, batch, prompt)

    def forward(new, at):
        n = new.shape[1]
        cos, sin = model.cos[at : at + n], model.sin[at : at + n]
        x = F.embedding(new, embedding)
        for (norm1, wqkv, wo, norm2, wide, down), kept in zip(blocks, cache):
            h = F.rms_norm(x, (d,), norm1, 1e-5)
            q, k, v = F.linear(h, wqkv).view(batch, n, 3, heads, each).permute(2, 0, 3, 1, 4)
            half = each // 2
            q = q * cos + torch.cat([q[..., half:], q[..., :half]], -1) * sin
            k = k * cos + torch.cat([k[..., half:], k[..., :half]], -1) * sin
            kept[0, :, :, at : at + n] = k
            kept[1, :, :, at : at + n] = v
            keys, values = kept[0, :, :, : at + n], kept[1, :, :, : at + n]
            h = F.scaled_dot_product_attention(q, keys, values, is_causal=n > 1)
            x = x + F.linear(h.transpose(1, 2).reshape(batch, n, d), wo)
            h = F.rms_norm(x, (d,), norm2, 1e-5)
            gate, up = F.linear(h, wide).chunk(2, -1)
            x = x + F.linear(F.silu(gate) * up, down)
        return F.linear(F.rms_norm(x[:, -1], (d,), last_norm, 1e-5), embedding)

    @torch.inference_mode()
    def run(count, greedy):
        new, at, logps = tokens, 0, []
        for _ in range(count):
            logp = F.log_softmax(forward(new, at), -1)
            at += new.shape[1]
            # The greatest of p / Exp(1) is a draw from p, and takes less than `multinomial`.
            best = logp.argmax(-1, True) if greedy else (logp.exp() / torch.empty_like(logp).exponential_()).argmax(-1, True)
            logps.append(logp.gather(1, best))
            new = best
        return torch.cat(logps, 1)

    return lambda: run(length, False), lambda: [run(seen, True)]


def generate(layers, d, heads, d_ff, vocab, batch, length, prompt, seen, **_):
    """The same by `transformers`, as its users call it."""
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=vocab, hidden_size=d, intermediate_size=d_ff, num_hidden_layers=layers, num_attention_heads=heads,
        num_key_value_heads=heads, max_position_embeddings=prompt + length, rms_norm_eps=1e-5, tie_word_embeddings=True,
        bos_token_id=None, eos_token_id=None, pad_token_id=None,
    )
    model = LlamaForCausalLM(config).eval()
    ours = Decoder(layers, d, heads, d_ff, vocab, prompt + length)
    with torch.no_grad():
        model.model.embed_tokens.weight.copy_(ours.embedding)
        for theirs, (_, wq, wk, wv, wo, _, gate, up, down) in zip(model.model.layers, ours.layers):
            attention, mlp = theirs.self_attn, theirs.mlp
            for module, weight in (
                (attention.q_proj, wq), (attention.k_proj, wk), (attention.v_proj, wv), (attention.o_proj, wo),
                (mlp.gate_proj, gate), (mlp.up_proj, up), (mlp.down_proj, down),
            ):
                module.weight.copy_(weight)
    tokens = ids(2, vocab, batch, prompt)
    mask = torch.ones_like(tokens)

    @torch.inference_mode()
    def run(count, sample, **more):
        how = GenerationConfig(do_sample=sample, max_new_tokens=count, min_new_tokens=count, top_k=0 if sample else None, pad_token_id=0)
        return model.generate(tokens, attention_mask=mask, generation_config=how, **more)

    def result():
        out = run(seen, False, output_logits=True, return_dict_in_generate=True)
        logps = [F.log_softmax(logits, -1) for logits in out.logits]
        return [torch.cat([logp.gather(1, out.sequences[:, prompt + i, None]) for i, logp in enumerate(logps)], 1)]

    return lambda: run(length, True), result


WORK = {"gemm": gemm, "math": math, "conv": conv, "train": train, "speak": speak, "generate": generate}
prepared = {}
count = 0


def prepare(request):
    global count
    torch.set_num_threads(request["threads"])
    call, result = WORK[request["what"]](**{k: v for k, v in request.items() if k not in ("do", "what", "out")})
    call()
    if "out" in request:
        flat = torch.cat([t.detach().contiguous().flatten() for t in result()])
        flat.numpy().astype("<f4").tofile(request["out"])
    prepared[count] = (request["threads"], call)
    count += 1
    return {"id": count - 1}


def take_time(request):
    threads, call = prepared[request["id"]]
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
    clock = time.process_time if threads == 1 else time.perf_counter
    reps = range(request["reps"])
    start = clock()
    for _ in reps:
        call()
    return {"seconds": (clock() - start) / len(reps)}


def answer(request):
    match request["do"]:
        case "hello":
            return {"version": torch.__version__, "isa": torch.backends.cpu.get_cpu_capability()}
        case "prepare":
            return prepare(request)
        case "time":
            return take_time(request)
        case "drop":
            del prepared[request["id"]]
            return {}
    raise ValueError(f"no such request: {request}")


for line in sys.stdin:
    try:
        reply = answer(json.loads(line))
    except Exception as e:  # the harness is told, and decides
        reply = {"error": f"{type(e).__name__}: {e}".splitlines()[0][:300]}
    print(json.dumps(reply), flush=True)
