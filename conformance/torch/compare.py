"""Works out with PyTorch what `cases.rs` beside this file wrote, and compares.

The truth is PyTorch in f64. Ours may be as far from it as PyTorch in f32 is, with some room: an error is the greatest
difference in a tensor over its greatest element. Prints the worst of each operation and exits 1 if one is too large.
"""

import json
import sys
from collections import defaultdict
from pathlib import Path

import torch
import torch.nn.functional as F


def rope(x, positions, theta):
    # The tables as `transformers` makes them, in the type that is worked in.
    half = x.shape[-1] // 2
    frequency = 1.0 / theta ** (torch.arange(half, dtype=x.dtype) / half)
    angle = positions.to(x.dtype)[:, None] * frequency
    cos, sin = (t[None, :, None, :] for t in (angle.cos(), angle.sin()))
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)


def attention(q, k, v, start, scale, causal):
    (b, tq, hq, _), (tk, hkv) = q.shape, k.shape[1:3]
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))
    k, v = (t.repeat_interleave(hq // hkv, 1) for t in (k, v))
    seen = start[:, None] + (torch.arange(tq)[None] + 1 if causal else torch.zeros(1, tq, dtype=torch.long))
    mask = torch.arange(tk)[None, None, None] < seen[:, None, :, None]
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale).transpose(1, 2)


def conv3d(x, w, pad):
    return F.conv3d(x.permute(0, 4, 1, 2, 3), w.permute(4, 3, 0, 1, 2), padding=pad).permute(0, 2, 3, 4, 1)


def pad(x, axis, before, after):
    return F.pad(x, [0, 0] * (x.dim() - 1 - axis) + [before, after])


def clip(*gradients, limit):
    parameters = [torch.nn.Parameter(torch.zeros_like(g)) for g in gradients]
    for p, g in zip(parameters, gradients):
        p.grad = g.detach().clone()
    norm = torch.nn.utils.clip_grad_norm_(parameters, limit)
    return [norm, *(p.grad for p in parameters)]


def adamw(p, *gradients, lr, b1, b2, decay, eps):
    p = torch.nn.Parameter(p.detach().clone())
    optimiser = torch.optim.AdamW([p], lr=lr, betas=(b1, b2), eps=eps, weight_decay=decay)
    seen = []
    for g in gradients:
        p.grad = g.detach().clone()
        optimiser.step()
        seen.append(p.detach().clone())
    return seen


# Each takes the tensors of numbers, those of integers, and the attributes by name.
OPERATIONS = {
    "neg": torch.neg,
    "abs": torch.abs,
    "sqrt": torch.sqrt,
    "rsqrt": torch.rsqrt,
    "recip": torch.reciprocal,
    "exp": torch.exp,
    "log": torch.log,
    "tanh": torch.tanh,
    "sin": torch.sin,
    "cos": torch.cos,
    "sigmoid": torch.sigmoid,
    "silu": F.silu,
    "gelu": lambda x: F.gelu(x, approximate="tanh"),
    "relu": F.relu,
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "max": torch.maximum,
    "min": torch.minimum,
    "relu_grad": lambda x, g: torch.where(x > 0, g, 0.0),
    "fma": lambda a, b, c: a * b + c,
    "select": lambda a, b, mask: torch.where(mask != 0, a, b),
    "reshape": lambda x, shape: x.reshape(shape),
    "permute": lambda x, order: x.permute(order),
    "broadcast": lambda x, shape: x.expand(shape),
    "slice": lambda x, axis, start, len: x.narrow(axis, start, len),
    "pad": pad,
    "flip": lambda x, axis: x.flip(axis),
    "concat": lambda *parts, axis: torch.cat(parts, axis),
    "gather": lambda table, ids: F.embedding(ids, table),
    "scatter_add": lambda x, ids, rows: x.new_zeros(rows, *x.shape[1:]).index_add(0, ids, x),
    "pick": lambda x, ids: x.gather(-1, ids[..., None])[..., 0],
    "place": lambda x, ids, n: x.new_zeros(*x.shape, n).scatter(-1, ids[..., None], x[..., None]),
    "matmul": lambda a, b, ta, tb: (a.mT if ta else a) @ (b.mT if tb else b),
    "sum": lambda x, axis: x.sum(axis),
    "reduce_max": lambda x, axis: x.amax(axis),
    "dot": lambda a, b, axis: (a * b).sum(axis),
    "rms_norm": lambda x, w, eps: F.rms_norm(x, w.shape, w, eps),
    "softmax": lambda x: x.softmax(-1),
    "token_logprob": lambda x, ids: x.log_softmax(-1).gather(-1, ids[..., None])[..., 0],
    "swiglu": lambda gate, up: F.silu(gate) * up,
    "rope": rope,
    "attention": attention,
    "conv3d": conv3d,
    "clip": clip,
    "adamw": adamw,
}


def tensor(of, dtype):
    return torch.tensor(of["data"], dtype=torch.float32 if dtype.is_floating_point else dtype).to(dtype).reshape(of["shape"])


def work_out(case, dtype):
    """PyTorch's results and gradients."""
    floats = [tensor(f, dtype).requires_grad_(bool(case["cotangents"])) for f in case["floats"]]
    ints = [tensor(i, torch.long) for i in case["ints"]]
    results = OPERATIONS[case["op"]](*floats, *ints, **case["attributes"])
    results = results if isinstance(results, list) else [results]
    if not case["cotangents"]:
        return results, []
    loss = sum((y * torch.tensor(c, dtype=torch.float32).to(dtype).reshape(y.shape)).sum() for y, c in zip(results, case["cotangents"]))
    gradients = torch.autograd.grad(loss, floats, allow_unused=True)
    return results, [torch.zeros_like(f) if g is None else g for f, g in zip(floats, gradients)]


def error(of, truth):
    if of.shape != truth.shape:
        return float("inf")
    apart = (of.detach().double() - truth.detach()).abs().max() / truth.detach().abs().max().clamp(min=1e-30)
    return float("inf") if apart.isnan() else apart.item()


def main():
    with (Path(sys.argv[1]) / "cases.jsonl").open() as lines:
        cases = [json.loads(line) for line in lines]
    # Of each operation: cases, and the worst [ours, PyTorch's f32] for results and for gradients.
    table = defaultdict(lambda: [0, [0.0, 0.0], [0.0, 0.0]])
    failed = []
    for case in cases:
        truths = work_out(case, torch.float64)
        singles = work_out(case, torch.float32)
        ours = [[tensor(t, torch.float32) for t in case[kind]] for kind in ("results", "gradients")]
        row = table[case["op"]]
        row[0] += 1
        for worst, truth, single, our in zip(row[1:], truths, singles, ours, strict=True):
            errors = [[error(a, t) for a, t in zip(x, truth, strict=True)] for x in (our, single)]
            for i, (our_error, single_error) in enumerate(zip(*errors, strict=True)):
                worst[0], worst[1] = max(worst[0], our_error), max(worst[1], single_error)
                if our_error > 4.0 * single_error + 1e-6:
                    failed.append(f"{case['op']} {case['attributes']} tensor {i}: {our_error:.1e}, PyTorch {single_error:.1e}")
    print(f"PyTorch {torch.__version__}; greatest error over the greatest element, against f64\n")
    print(f"{'operation':<16}{'cases':>6}{'value':>12}{'PyTorch f32':>13}{'gradient':>12}{'PyTorch f32':>13}")
    for op, (count, value, gradient) in table.items():
        print(f"{op:<16}{count:>6}{value[0]:>12.1e}{value[1]:>13.1e}{gradient[0]:>12.1e}{gradient[1]:>13.1e}")
    missing = OPERATIONS.keys() - table.keys()
    failed += [f"{op}: no case" for op in sorted(missing)]
    print(*(["", "Too far from PyTorch:"] + failed if failed else []), sep="\n")
    print(f"{len(cases)} cases of {len(table)} operations, {len(failed)} too far apart")
    sys.exit(bool(failed))


main()
