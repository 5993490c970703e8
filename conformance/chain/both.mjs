// Tells a story to the embedded chain and to Anvil, and compares what came of it.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";

export const KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
export const probe = JSON.parse(readFileSync(new URL("Probe.json", import.meta.url), "utf8"));
// Packages lie where NODE_MODULES says, not beside this file.
export const packages = createRequire(process.env.NODE_MODULES + "/");

async function start(program, args) {
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
  const address = await new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code) => reject(new Error(`${program} ended with ${code}`)));
    createInterface({ input: child.stdout }).on("line", (line) => {
      if (line.startsWith("Listening on ")) resolve(line.slice("Listening on ".length));
    });
  });
  return { http: `http://${address}`, ws: `ws://${address}`, stop: () => child.kill("SIGKILL") };
}

const plain = (value) => JSON.stringify(value, (_, v) => (typeof v === "bigint" ? v.toString() : v), 1);

// Runs story(node, tell) on both; tell(what, value) notes what must be the same.
export async function both(client, story) {
  const nodes = {
    embedded: [process.env.EMBEDDED, []],
    anvil: [process.env.ANVIL, ["--port", "0", "--chain-id", "31337", "--hardfork", "osaka"]],
  };
  const told = {};
  for (const [name, [program, args]] of Object.entries(nodes)) {
    const node = await start(program, args);
    told[name] = [];
    try {
      await story(node, (what, value) => told[name].push(plain([what, value])));
    } finally {
      node.stop();
    }
    writeFileSync(`${process.env.TOLD}/${client}-${name}.json`, told[name].join("\n"));
  }
  const { embedded, anvil } = told;
  for (let i = 0; i < Math.max(embedded.length, anvil.length); i++) {
    if (embedded[i] !== anvil[i]) {
      console.error(`${client} hears different things:\nembedded: ${embedded[i]}\nAnvil: ${anvil[i]}`);
      process.exit(1);
    }
  }
  console.log(`${client}: ${embedded.length} answers, the same on both`);
  process.exit(0);
}
