// Compiles `src/` and writes `artifacts/`: one file for each contract, and `deploy.json`, which says in which order, with
// which salts and arguments they are deployed, and where they then are. With --check it writes nothing and fails unless
// the committed files are what it would write.
import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const require = createRequire(import.meta.url);
const solc = require("solc");
const { keccak256 } = require("js-sha3");

const home = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const at = (...names) => path.join(home, ...names);

// The same account on every chain, which makes addresses depend on nothing but salt and code.
const DEPLOYER = "0x4e59b44847b379578588920cA78FbF26c0B4956C";
// The plan: each contract and its constructor's arguments, where ${Name} is the address of one that stands before it.
const PLAN = [
  ["Credit", []],
  ["Agents", []],
  ["Bonds", ["${Credit}", "${Agents}"]],
  ["Swarms", ["${Credit}", "${Agents}", "${Bonds}"]],
  ["Jobs", ["${Credit}", "${Agents}"]],
  ["Crowd", ["${Jobs}"]],
  ["Reputation", ["${Agents}", "${Jobs}"]],
  ["Validation", ["${Agents}"]],
  ["Referee", []],
  ["Disputes", ["${Agents}", "${Bonds}", "${Validation}", "${Referee}"]],
];
// Contracts of `test/` that tests in Rust call. They are deployed nowhere.
const PROBES = ["Arithmetic"];
const SALT = "0x" + keccak256("starling");

// ---------------------------------------------------------------- compile

const paths = [
  ...fs.readdirSync(at("src")).filter((f) => f.endsWith(".sol")).sort().map((f) => `src/${f}`),
  ...PROBES.map((name) => `test/${name}.sol`),
];
const sources = Object.fromEntries(paths.map((f) => [f, { content: fs.readFileSync(at(f), "utf8") }]));
const settings = {
  optimizer: { enabled: true, runs: 10_000 },
  evmVersion: "cancun",
  metadata: { bytecodeHash: "none", appendCBOR: false },
  outputSelection: { "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object", "storageLayout"] } },
};
const find = (name) => {
  const file = at("node_modules", name);
  return fs.existsSync(file) ? { contents: fs.readFileSync(file, "utf8") } : { error: `no such file: ${name}` };
};
const output = JSON.parse(
  solc.compile(JSON.stringify({ language: "Solidity", sources, settings }), { import: find }),
);
const ours = (e) => paths.includes(e.sourceLocation?.file ?? paths[0]);
const complaints = (output.errors ?? []).filter((e) => e.severity === "error" || ours(e));
for (const complaint of complaints) console.error(complaint.formattedMessage);
if (complaints.length) process.exit(1);

// Ids of syntax trees differ from one compilation to the next and mean nothing to a reader.
const tidy = (value) => {
  if (Array.isArray(value)) return value.map(tidy);
  if (value === null || typeof value !== "object") return value;
  const kept = Object.entries(value).filter(([key]) => key !== "astId");
  return Object.fromEntries(kept.map(([key, v]) => [key, tidy(v)]));
};
const stripIds = (json) => json.replace(/(t_(?:contract|struct|enum|userDefinedValueType)\([^)]*\))\d+/g, "$1");

const files = {};
const compiled = {};
for (const name of [...PLAN.map(([name]) => name), ...PROBES]) {
  const contract = output.contracts[`${PROBES.includes(name) ? "test" : "src"}/${name}.sol`][name];
  compiled[name] = "0x" + contract.evm.bytecode.object;
  const artifact = {
    contractName: name,
    abi: contract.abi,
    bytecode: compiled[name],
    deployedBytecode: "0x" + contract.evm.deployedBytecode.object,
    storageLayout: tidy(contract.storageLayout),
  };
  files[`${name}.json`] = stripIds(JSON.stringify(artifact, null, 1)) + "\n";
}

// ---------------------------------------------------------------- deploy

const hash = (hex) => keccak256(Buffer.from(hex.replace(/^0x/, ""), "hex"));
const checksummed = (address) => {
  const digits = keccak256(address);
  return "0x" + [...address].map((c, i) => (parseInt(digits[i], 16) >= 8 ? c.toUpperCase() : c)).join("");
};
const addresses = {};
const deploy = PLAN.map(([name, args]) => {
  const values = args.map((arg) => addresses[arg.slice(2, -1)]);
  const init = compiled[name] + values.map((a) => a.slice(2).toLowerCase().padStart(64, "0")).join("");
  const address = hash("ff" + DEPLOYER.slice(2) + SALT.slice(2) + hash(init)).slice(24);
  addresses[name] = checksummed(address);
  return { name, salt: SALT, args, address: addresses[name] };
});
files["deploy.json"] = JSON.stringify(deploy, null, 1) + "\n";

// ---------------------------------------------------------------- write or compare

const folder = at("artifacts");
if (process.argv.includes("--check")) {
  const had = fs.existsSync(folder) ? fs.readdirSync(folder) : [];
  const names = [...new Set([...had, ...Object.keys(files)])];
  const wrong = names.filter((n) => !had.includes(n) || fs.readFileSync(path.join(folder, n), "utf8") !== files[n]);
  if (wrong.length) {
    console.error(`not what the sources give: ${wrong.join(", ")}; \`cargo xtask contracts\` writes them anew`);
    process.exit(1);
  }
} else {
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder);
  for (const [name, text] of Object.entries(files)) fs.writeFileSync(path.join(folder, name), text);
  for (const { name, address } of deploy) console.log(`${address}  ${name}`);
}
