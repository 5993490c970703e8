// viem: deploy, call, logs, subscriptions, fees, errors with their reasons.
import { KEY, both, packages, probe } from "./both.mjs";

const { createPublicClient, createWalletClient, defineChain, http, webSocket, parseEther, toHex } = packages("viem");
const { privateKeyToAccount } = packages("viem/accounts");
const { abi, bytecode } = probe;

await both("viem", async (node, tell) => {
  const chain = defineChain({
    id: 31337,
    name: "either",
    nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
    rpcUrls: { default: { http: [node.http], webSocket: [node.ws] } },
  });
  const account = privateKeyToAccount(KEY);
  const options = { chain, account, pollingInterval: 50 };
  const reader = createPublicClient({ ...options, transport: http() });
  const writer = createWalletClient({ ...options, transport: http() });
  const listener = createPublicClient({ ...options, transport: webSocket() });

  tell("chain", await reader.getChainId());
  tell("balance", await reader.getBalance({ address: account.address }));
  const deployed = await reader.waitForTransactionReceipt({
    hash: await writer.deployContract({ abi, bytecode, args: [5n], value: 100n }),
  });
  tell("deployed", [deployed.status, deployed.contractAddress, deployed.gasUsed, deployed.type]);
  const address = deployed.contractAddress;

  const heads = [];
  const events = [];
  let heard;
  const all = new Promise((resolve) => (heard = resolve));
  const enough = () => heads.length >= 3 && events.length >= 3 && heard();
  const stopHeads = listener.watchBlocks({ onBlock: (block) => (heads.push(block.number), enough()) });
  const stopEvents = listener.watchContractEvent({
    address,
    abi,
    eventName: "Stored",
    onLogs: (logs) => (events.push(...logs.map((log) => log.args)), enough()),
  });
  // A subscription is there when its first answer is; one call over the same line comes after it.
  await listener.getBlockNumber();
  await listener.getBlockNumber();

  for (let i = 1n; i <= 3n; i++) {
    const { request } = await reader.simulateContract({ address, abi, functionName: "store", args: [i, i * 100n], account });
    const receipt = await reader.waitForTransactionReceipt({ hash: await writer.writeContract(request) });
    tell("stored", [receipt.status, receipt.gasUsed, receipt.logs.map((log) => [log.topics, log.data, log.logIndex])]);
  }
  await all;
  stopHeads();
  stopEvents();
  tell("events heard", events);
  tell("count", await reader.readContract({ address, abi, functionName: "count" }));
  const logs = await reader.getContractEvents({ address, abi, eventName: "Stored", args: { key: 2n }, fromBlock: 0n });
  tell("logs", logs.map((log) => [log.args, log.blockNumber]));

  for (const [functionName, args] of [["sayNo", []], ["refuse", [9n]], ["panic", [0n]], ["silent", []]]) {
    const error = await reader.readContract({ address, abi, functionName, args, account }).catch((e) => e);
    const cause = error.walk?.((e) => e.name === "ContractFunctionRevertedError");
    tell(functionName, [error.name, cause?.name, cause?.reason, cause?.data?.errorName, cause?.data?.args, cause?.raw]);
  }
  const poor = await writer.sendTransaction({ to: address, value: parseEther("1000000") }).catch((e) => e);
  tell("too much", [poor.name, poor.walk?.((e) => e.name === "InsufficientFundsError")?.name]);
  const again = await writer.sendTransaction({ to: address, value: 1n, nonce: 0 }).catch((e) => e);
  tell("old nonce", [again.name, again.walk?.((e) => e.name === "NonceTooLowError")?.name]);

  tell("transfer gas", await reader.estimateGas({ account, to: account.address, value: 1n }));
  const fees = await reader.estimateFeesPerGas();
  tell("fees", [typeof fees.maxFeePerGas, fees.maxFeePerGas > fees.maxPriorityFeePerGas]);
  const history = await reader.getFeeHistory({ blockCount: 2, rewardPercentiles: [50] });
  tell("history", [history.oldestBlock, history.baseFeePerGas.length, history.reward.length]);
  const proof = await reader.getProof({ address, storageKeys: [toHex(1, { size: 32 })] });
  tell("proof", [proof.balance, proof.nonce, proof.codeHash, proof.storageHash, proof.storageProof[0].value]);
  const block = await reader.getBlock({ blockNumber: 2n, includeTransactions: true });
  tell("block", [block.number, block.gasUsed, block.receiptsRoot, block.logsBloom]);
  // Not its hash: that follows from the fees that each chain suggests.
  const { nonce, from, to, value, input, type } = block.transactions[0];
  tell("transaction", [nonce, from, to, value, input, type]);
});
