#!/usr/bin/env node
// The Solidity compiler of npm, which is WebAssembly, with the command line that forge and slither expect of a native
// one: `--version`, and `--standard-json` from stdin to stdout. Imports are read from the folders that they name.
import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";

const solc = createRequire(import.meta.url)("solc");
const args = process.argv.slice(2);

if (args.includes("--version")) {
  // Its own version ends with the name of the compiler that it was built by; tools look for a platform there.
  const version = solc.version().replace("Emscripten.clang", "Linux.g++");
  console.log(`solc, the solidity compiler commandline interface\nVersion: ${version}`);
} else {
  const after = (name) => args.flatMap((arg, i) => (arg === name ? [args[i + 1]] : []));
  const roots = [...after("--base-path"), ...after("--include-path"), process.cwd()];
  const find = (name) => {
    for (const root of roots) {
      const file = path.resolve(root, name);
      if (fs.existsSync(file)) return { contents: fs.readFileSync(file, "utf8") };
    }
    return { error: `${name}: not found under ${roots.join(", ")}` };
  };
  process.stdout.write(solc.compile(fs.readFileSync(0, "utf8"), { import: find }));
}
