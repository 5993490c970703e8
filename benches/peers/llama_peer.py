"""llama.cpp as a peer of the benches: one JSON request per line on stdin, one reply per line on stdout, as `torch_peer.py` has it.

It is the build in xllamacpp's wheel: AVX2, made to run on any machine of today.
"""

import array
import json
import os
import sys
import time

# Its log goes to stdout, which is for replies.
replies = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

import xllamacpp

prepared = {}


def prepare(request):
    params = xllamacpp.CommonParams()
    params.model.path = request["model"]
    params.n_ctx = 1024
    params.n_parallel = 1
    params.verbosity = 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = request["threads"]
    server = xllamacpp.Server(params)

    def call():
        asked = {"prompt": request["prompt"], "n_predict": request["new"], "temperature": 0, "ignore_eos": True, "cache_prompt": False}
        said = server.handle_completions(asked)
        said = json.loads(said) if isinstance(said, str) else said
        if said["timings"]["predicted_n"] != request["new"]:
            raise ValueError(f"{said['timings']['predicted_n']} tokens")
        return said

    # The text's bytes, as the numbers that results are.
    said = call()
    text = said["choices"][0]["text"] if "choices" in said else said["content"]
    with open(request["out"], "wb") as out:
        array.array("f", list(text.encode())).tofile(out)
    number = len(prepared)
    prepared[number] = (request["threads"], server, call)
    return {"id": number}


def take_time(request):
    threads, _, call = prepared[request["id"]]
    clock = time.process_time if threads == 1 else time.perf_counter
    start = clock()
    for _ in range(request["reps"]):
        call()
    return {"seconds": (clock() - start) / request["reps"]}


def answer(request):
    match request["do"]:
        case "hello":
            return {"version": getattr(xllamacpp, "__version__", "?")}
        case "prepare":
            return prepare(request)
        case "time":
            return take_time(request)
        case "drop":
            prepared[request["id"]] = None
            return {}
    raise ValueError(f"no such request: {request}")


for line in sys.stdin:
    try:
        reply = answer(json.loads(line))
    except Exception as e:  # the harness is told, and decides
        reply = {"error": f"{type(e).__name__}: {e}".splitlines()[0][:300]}
    print(json.dumps(reply), file=replies, flush=True)
