// Compiles Probe.sol and writes Probe.json, or with --check compares it with the one that is committed.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";

const solc = createRequire(process.env.NODE_MODULES + "/")("solc");
const here = new URL(".", import.meta.url);
const input = {
  language: "Solidity",
  sources: { "Probe.sol": { content: readFileSync(new URL("Probe.sol", here), "utf8") } },
  settings: {
    optimizer: { enabled: true, runs: 200 },
    evmVersion: "cancun",
    metadata: { bytecodeHash: "none", appendCBOR: false },
    outputSelection: { "Probe.sol": { Probe: ["abi", "evm.bytecode.object"] } },
  },
};
const output = JSON.parse(solc.compile(JSON.stringify(input)));
const errors = (output.errors ?? []).filter((e) => e.severity === "error");
if (errors.length) throw new Error(errors.map((e) => e.formattedMessage).join("\n"));
const { abi, evm } = output.contracts["Probe.sol"].Probe;
const text = JSON.stringify({ compiler: solc.version(), abi, bytecode: "0x" + evm.bytecode.object }, null, 1) + "\n";
const file = new URL("Probe.json", here);
if (process.argv.includes("--check")) {
  if (readFileSync(file, "utf8") !== text) throw new Error("Probe.json is not what Probe.sol compiles to: run compile.mjs");
} else {
  writeFileSync(file, text);
}
