"""Keystores there and back: `eth_account`, the library behind web3.py, opens what Starling exports, and Starling opens what it writes.

Usage: keystores.py <the starling program> <an empty folder>
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from eth_account import Account

PASSPHRASE = "correct horse, bätterie ✓"


def main() -> None:
    starling, folder = sys.argv[1], Path(sys.argv[2])

    def run(home: str, *words: str, passphrase: str = PASSPHRASE) -> str:
        command = [starling, "identity", *words, "--home", str(folder / home)]
        environment = {**os.environ, "STARLING_PASSPHRASE": passphrase}
        return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout

    ours = json.loads(run("ours", "show", "--json"))
    for key, address in (("wallet", ours["wallet"]), ("peer", ours["peer_address"])):
        words = ["--peer"] if key == "peer" else []
        keystore = json.loads(run("ours", "export", *words))
        secret = Account.decrypt(keystore, PASSPHRASE)
        assert Account.from_key(secret).address == address, f"{key}: another address"
        assert "0x" + bytes(secret).hex() == run("ours", "export", "--raw", *words).strip(), f"{key}: another key"
        on_disk = json.loads((folder / "ours" / "keys" / f"{key}.json").read_text())
        assert bytes(Account.decrypt(on_disk, PASSPHRASE)) == bytes(secret), f"{key}: the file itself"
    print("eth_account opens what Starling seals")

    for kdf, iterations in (("scrypt", 2**14), ("pbkdf2", 10_000)):
        theirs = Account.create()
        file = folder / f"{kdf}.json"
        file.write_text(json.dumps(Account.encrypt(theirs.key, PASSPHRASE, kdf=kdf, iterations=iterations)))
        run(f"theirs-{kdf}", "import", str(file))
        assert json.loads(run(f"theirs-{kdf}", "show", "--json"))["wallet"] == theirs.address, kdf
        try:
            run(f"refused-{kdf}", "import", str(file), passphrase="wrong")
        except subprocess.CalledProcessError as error:
            assert "does not open" in error.stderr, error.stderr
        else:
            raise AssertionError("a wrong passphrase opened a keystore")
    print("Starling opens what eth_account seals, with scrypt and with PBKDF2")


if __name__ == "__main__":
    main()
