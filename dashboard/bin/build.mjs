// Builds the page as the program carries it: `dist/*.gz`, and the types that it shares with the node. With `--check`, proves that what is
// committed is what the sources give.
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync, gzipSync } from "node:zlib";

const home = join(dirname(fileURLToPath(import.meta.url)), "..");
const check = process.argv.includes("--check");
const built = join(home, "node_modules/.built");
const dist = join(home, "dist");
const LIMIT_BYTES = 300_000;

const run = (tool, ...options) =>
  execFileSync(process.execPath, [join(home, "node_modules", tool), ...options], { cwd: home, stdio: ["ignore", "pipe", "inherit"], encoding: "utf8" });

function differs(what) {
  console.error(`${what} is not what the sources give: \`cargo xtask dashboard\` writes it anew`);
  process.exit(1);
}

mkdirSync(built, { recursive: true });
const types = join(home, "src/api/schema.ts");
const made = join(built, "schema.ts");
run("openapi-typescript/bin/cli.js", "openapi.json", "-o", made);
const schema = readFileSync(made, "utf8");
if (check && readFileSync(types, "utf8") !== schema) differs("dashboard/src/api/schema.ts");
if (!check) writeFileSync(types, schema);

run("typescript/bin/tsc", "--noEmit");

process.env.DASHBOARD_OUT = join(built, "page");
rmSync(process.env.DASHBOARD_OUT, { recursive: true, force: true });
run("vite/bin/vite.js", "build", "--logLevel", "warn");
const files = readdirSync(process.env.DASHBOARD_OUT).sort();
let total = 0;
if (!check) {
  rmSync(dist, { recursive: true, force: true });
  mkdirSync(dist);
}
for (const file of files) {
  const bytes = readFileSync(join(process.env.DASHBOARD_OUT, file));
  const packed = gzipSync(bytes, { level: 9 });
  total += packed.length;
  const to = join(dist, `${file}.gz`);
  // What is packed is compared, not how: that differs between versions of zlib.
  if (check && !gunzipSync(readFileSync(to)).equals(bytes)) differs(`dashboard/dist/${file}.gz`);
  if (!check) writeFileSync(to, packed);
}
const wanted = files.map((file) => `${file}.gz`).join(" ");
if (check && readdirSync(dist).sort().join(" ") !== wanted) differs("dashboard/dist");
if (total > LIMIT_BYTES) {
  console.error(`the page has ${total} bytes compressed: ${LIMIT_BYTES} are allowed`);
  process.exit(1);
}
console.log(`${files.join(", ")}: ${(total / 1000).toFixed(1)} kB compressed`);
