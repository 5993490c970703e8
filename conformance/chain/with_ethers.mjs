// ethers: deploy, call, logs, subscriptions, fees, errors with their reasons.
import { KEY, both, packages, probe } from "./both.mjs";

const { Contract, ContractFactory, JsonRpcProvider, Wallet, WebSocketProvider, parseEther } = packages("ethers");

await both("ethers", async (node, tell) => {
  const reader = new JsonRpcProvider(node.http, 31337, { staticNetwork: true, pollingInterval: 50, cacheTimeout: -1 });
  const listener = new WebSocketProvider(node.ws, 31337, { staticNetwork: true });
  const wallet = new Wallet(KEY, reader);

  tell("balance", await reader.getBalance(wallet.address));
  const contract = await new ContractFactory(probe.abi, probe.bytecode, wallet).deploy(5n);
  const deployed = await contract.deploymentTransaction().wait();
  tell("deployed", [deployed.status, deployed.contractAddress, deployed.gasUsed, deployed.type]);
  const address = await contract.getAddress();

  const events = [];
  let heard;
  const all = new Promise((resolve) => (heard = resolve));
  const told = new Contract(address, probe.abi, listener);
  await told.on("Stored", (who, key, value) => {
    events.push([who, key, value]);
    if (events.length === 3) heard();
  });
  await listener.getBlockNumber();
  for (let i = 1n; i <= 3n; i++) {
    const receipt = await (await contract.store(i, i * 100n)).wait();
    tell("stored", [receipt.status, receipt.gasUsed, receipt.logs.map((log) => [log.topics, log.data, log.index])]);
  }
  await all;
  tell("events heard", events);
  await told.off("Stored");

  tell("count", await contract.count());
  const logs = await contract.queryFilter(contract.filters.Stored(null, 2n), 0);
  tell("logs", logs.map((log) => [log.args.toArray(), log.blockNumber]));
  tell("static", await contract.store.staticCallResult(9n, 9n));
  for (const [name, args] of [["sayNo", []], ["refuse", [9n]], ["panic", [0n]], ["silent", []]]) {
    const error = await contract[name].staticCall(...args).catch((e) => e);
    tell(name, [error.code, error.reason, error.data, error.revert?.name, error.revert && [...error.revert.args]]);
    const estimate = await contract[name].estimateGas(...args).catch((e) => e);
    tell(`${name} estimated`, [estimate.code, estimate.reason, estimate.data]);
  }
  for (const [name, wish] of [
    ["too much", { to: address, value: parseEther("1000000") }],
    ["old nonce", { to: address, nonce: 0, gasLimit: 50_000 }],
  ]) {
    const error = await wallet.sendTransaction(wish).catch((e) => e);
    tell(name, error.code);
  }
  tell("transfer gas", await wallet.estimateGas({ to: wallet.address, value: 1n }));
  const fees = await reader.getFeeData();
  tell("fees", [typeof fees.gasPrice, fees.maxFeePerGas >= fees.maxPriorityFeePerGas]);
  const block = await reader.getBlock(2, true);
  tell("block", [block.number, block.gasUsed, block.receiptsRoot, block.prefetchedTransactions.map((t) => [t.from, t.nonce, t.type, t.data])]);
  tell("storage", await reader.getStorage(address, 1n));
  tell("code", (await reader.getCode(address)).length);
  listener.destroy();
});
