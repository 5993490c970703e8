"""web3.py: deploy, call, logs, filters, subscriptions, fees, errors with their reasons."""

import asyncio
import json
import os
import pathlib
import subprocess
import sys

from web3 import AsyncWeb3, Web3, WebSocketProvider
from web3.exceptions import ContractCustomError, ContractLogicError, ContractPanicError, Web3RPCError

KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
HERE = pathlib.Path(__file__).parent
PROBE = json.loads((HERE / "Probe.json").read_text())


def story(address, tell):
    w3 = Web3(Web3.HTTPProvider(f"http://{address}"))
    account = w3.eth.account.from_key(KEY)
    tell("chain", [w3.is_connected(), w3.eth.chain_id, w3.net.version])
    tell("balance", w3.eth.get_balance(account.address))

    def send(call):
        wish = call.build_transaction({"from": account.address, "nonce": w3.eth.get_transaction_count(account.address)})
        signed = account.sign_transaction(wish)
        return w3.eth.wait_for_transaction_receipt(w3.eth.send_raw_transaction(signed.raw_transaction), poll_latency=0.02)

    deployed = send(w3.eth.contract(abi=PROBE["abi"], bytecode=PROBE["bytecode"]).constructor(5))
    tell("deployed", [deployed["status"], deployed["contractAddress"], deployed["gasUsed"], deployed["type"]])
    contract = w3.eth.contract(address=deployed["contractAddress"], abi=PROBE["abi"])

    logs = w3.eth.filter({"address": contract.address})
    heads = w3.eth.filter("latest")
    for i in range(1, 4):
        receipt = send(contract.functions.store(i, i * 100))
        stored = contract.events.Stored().process_receipt(receipt)
        tell("stored", [receipt["status"], receipt["gasUsed"], [dict(log["args"]) for log in stored]])
    tell("filtered", [log["data"].hex() for log in logs.get_new_entries()])
    tell("heads", len(heads.get_new_entries()))
    tell("again", logs.get_new_entries())
    found = contract.events.Stored().get_logs(from_block=0, argument_filters={"key": 2})
    tell("logs", [[dict(log["args"]), log["blockNumber"]] for log in found])
    tell("count", contract.functions.count().call())

    for name, args in [("sayNo", []), ("refuse", [9]), ("panic", [0]), ("silent", [])]:
        for ask in (lambda f: f.call({"from": account.address}), lambda f: f.estimate_gas({"from": account.address})):
            try:
                ask(contract.functions[name](*args))
            except (ContractLogicError, ContractCustomError, ContractPanicError) as error:
                tell(name, [type(error).__name__, str(error.message), error.data])

    for name, wish in [("too much", {"value": 10**24}), ("old nonce", {"nonce": 0})]:
        wish = {"to": account.address, "gas": 21000, "maxFeePerGas": 10**10, "maxPriorityFeePerGas": 1, "chainId": 31337} | wish
        wish.setdefault("nonce", w3.eth.get_transaction_count(account.address))
        try:
            w3.eth.send_raw_transaction(account.sign_transaction(wish).raw_transaction)
        except Web3RPCError as error:
            tell(name, type(error).__name__)

    tell("transfer gas", w3.eth.estimate_gas({"from": account.address, "to": account.address, "value": 1}))
    tell("fees", [w3.eth.gas_price > 0, w3.eth.max_priority_fee > 0])
    history = w3.eth.fee_history(2, "latest", [50.0])
    tell("history", [history["oldestBlock"], len(history["baseFeePerGas"]), len(history["reward"])])
    proof = w3.eth.get_proof(contract.address, ["0x" + "00" * 31 + "01"])
    tell("proof", [proof["nonce"], proof["codeHash"].hex(), proof["storageHash"].hex(), proof["storageProof"][0]["value"].hex()])
    block = w3.eth.get_block(2, full_transactions=True)
    tell("block", [block["number"], block["gasUsed"], block["receiptsRoot"].hex(), [[t["from"], t["nonce"], t["input"].hex()] for t in block["transactions"]]])

    async def listen():
        async with AsyncWeb3(WebSocketProvider(f"ws://{address}")) as live:
            await live.eth.subscribe("newHeads")
            await live.eth.subscribe("logs", {"address": contract.address})
            receipt = await asyncio.to_thread(send, contract.functions.store(7, 700))
            heard = {}
            async for message in live.socket.process_subscriptions():
                result = message["result"]
                heard["log" if "topics" in result else "head"] = result
                if len(heard) == 2:
                    break
            tell("heard", [heard["head"]["hash"] == receipt["blockHash"], heard["log"]["data"].hex()])

    asyncio.run(asyncio.wait_for(listen(), 30))


def main():
    nodes = {
        "embedded": [os.environ["EMBEDDED"]],
        "anvil": [os.environ["ANVIL"], "--port", "0", "--chain-id", "31337", "--hardfork", "osaka"],
    }
    told = {}
    for name, command in nodes.items():
        told[name] = []
        node = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            address = next(line for line in node.stdout if line.startswith("Listening on ")).split()[-1]
            story(address, lambda what, value: told[name].append(json.dumps([what, value])))
        finally:
            node.kill()
        pathlib.Path(os.environ["TOLD"], f"web3-{name}.json").write_text("\n".join(told[name]))
    for ours, theirs in zip(told["embedded"], told["anvil"]):
        if ours != theirs:
            sys.exit(f"web3.py hears different things:\nembedded: {ours}\nAnvil: {theirs}")
    if len(told["embedded"]) != len(told["anvil"]):
        sys.exit("web3.py hears more on one than on the other")
    print(f"web3.py: {len(told['embedded'])} answers, the same on both")


main()
