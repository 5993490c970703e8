// The page in a real browser, on a real swarm: every page, in light and dark, wide and on a phone.
//
//   node e2e/run.mjs STARLING OUT        OUT gets the screenshots
//
// Nothing here waits for a time: it waits for what has to be there.
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const here = dirname(fileURLToPath(import.meta.url));
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const [starling, out] = process.argv.slice(2);
const work = mkdtempSync(join(tmpdir(), "starling-dashboard-"));
const PAGES = { flock: "g.bird", learning: ".verdict", rounds: ".timeline", proof: ".matrix", chain: ".sent li", machine: ".machines li" };
const SHAPES = [
  { name: "light", viewport: { width: 1280, height: 900 }, colorScheme: "light" },
  { name: "dark", viewport: { width: 1280, height: 900 }, colorScheme: "dark" },
  { name: "phone", viewport: { width: 390, height: 844 }, colorScheme: "light", deviceScaleFactor: 2, hasTouch: true, isMobile: true },
  { name: "phone-dark", viewport: { width: 390, height: 844 }, colorScheme: "dark", deviceScaleFactor: 2, hasTouch: true, isMobile: true },
];
/** Events of the long replay. */
const EVENTS = 200_000;
const LIMIT_HEAP = 150e6;

const failures = [];
const check = (holds, what) => {
  console.log(`${holds ? "  ok" : "FAIL"}  ${what}`);
  if (!holds) failures.push(what);
};

/** A swarm on this machine, and where its dashboard is. */
function up(home, ...options) {
  const child = spawn(starling, ["up", "--json", "--dashboard", "127.0.0.1:0", "--home", home, ...options], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise((done) => child.once("exit", done));
  const begun = new Promise((found, fail) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      const { begun } = JSON.parse(line);
      if (begun) found(begun.dashboard);
    });
    void ended.then(() => fail(new Error("`starling up` ended before it began")));
  });
  begun.catch(() => {});
  return { child, begun, ended };
}

async function until(what, condition) {
  for (;;) {
    const found = await condition();
    if (found) return found;
    await new Promise((again) => setTimeout(again, 250));
    void what;
  }
}

const state = async (url) => (await fetch(new URL("/api/v1/state", url))).json();

async function pages(browser, url) {
  for (const { name, ...shape } of SHAPES) {
    const context = await browser.newContext({ ...shape, reducedMotion: "reduce" });
    const page = await context.newPage();
    const said = [];
    page.on("console", (message) => ["error", "warning"].includes(message.type()) && said.push(message.text()));
    page.on("pageerror", (error) => said.push(String(error)));
    page.on("request", (request) => request.url().startsWith(url) || request.url().startsWith("data:") || said.push(`asks ${request.url()}`));
    await page.addInitScript(() => {
      window.shifted = 0;
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
      }).observe({ type: "layout-shift", buffered: true });
    });
    for (const [where, wanted] of Object.entries(PAGES)) {
      await page.goto(`${url}#/${where}`);
      await page.locator(wanted).first().waitFor({ timeout: 60_000 });
      await page.locator(".line.live").waitFor();
      const id = `${where} ${name}`;
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
      const serious = violations.filter((found) => ["serious", "critical"].includes(found.impact));
      check(serious.length === 0, `${id}: axe finds nothing serious${serious.map((found) => `; ${found.id}: ${found.nodes[0]?.html} ${found.nodes[0]?.failureSummary}`).join("")}`);
      const width = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      check(width <= 0, `${id}: nothing hangs over the edge (${width} px)`);
      await page.screenshot({ path: join(out, `${where}-${name}.png`), fullPage: true });
      if (where === "flock") {
        const { shifted, paint } = await page.evaluate(() => ({ shifted: window.shifted, paint: performance.getEntriesByName("first-contentful-paint")[0]?.startTime }));
        check(shifted < 0.1, `${id}: the page stays where it is while it loads (${shifted.toFixed(3)})`);
        console.log(`      ${id}: first painted after ${paint?.toFixed(0)} ms`);
      }
    }
    check(said.length === 0, `${name}: no error, no request elsewhere ${said.join("; ")}`);
    await context.close();
  }
}

/** What one does with it, by keyboard alone. */
async function hands(browser, url) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  await page.goto(`${url}#/flock`);
  await page.locator("g.bird .hit").first().focus();
  await page.keyboard.press("Enter");
  await page.locator(".history dl").waitFor();
  check((await page.locator(".history h3").innerText()) === "Node 1", "a bird that is chosen shows its history");
  await page.goto(`${url}#/rounds`);
  await page.getByRole("slider", { name: "Round" }).focus();
  await page.keyboard.press("Home");
  const round = await page.locator(".timeline").first().evaluate(() => document.querySelector("h2")?.textContent);
  const last = (await state(url)).nodes[0].opened.round;
  check(round !== `Round ${last}`, `the scrubber goes back to ${round}, from round ${last}`);
  await page.getByRole("button", { name: "newest" }).click();
  await page.getByRole("button", { name: "The round before" }).click();
  await page.getByRole("button", { name: /Go through round/ }).click();
  const step = page.locator(".step h3");
  await step.waitFor({ timeout: 120_000 });
  const first = await step.innerText();
  await page.getByRole("slider", { name: "Step" }).focus();
  await page.keyboard.press("End");
  check((await step.innerText()) !== first, `a round is gone through again, from "${first}" to "${await step.innerText()}"`);
  await page.screenshot({ path: join(out, "rounds-steps.png"), fullPage: true });
  // The line breaks and comes back.
  await page.context().setOffline(true);
  await page.reload().catch(() => {});
  await page.context().setOffline(false);
  await page.goto(`${url}#/flock`);
  await page.locator(".line.live").waitFor();
  const event = async () => Number(await page.locator("main").getAttribute("data-event"));
  const seen = await event();
  await until("news", async () => (await event()) > seen);
  check(true, "after a break the page is live again");
  await page.close();
}

/** Many events at speed: what the page holds stays small. */
async function long(browser, url) {
  const { events } = await (await fetch(new URL("/api/v1/events?limit=1000", url))).json();
  const home = join(work, "long");
  mkdirSync(join(home, "feed"), { recursive: true });
  const PER_FILE = 8000;
  const span = Math.max(...events.map((told) => told.report.round ?? 0)) + 1;
  for (let first = 1; first <= EVENTS; first += PER_FILE) {
    const lines = [];
    for (let id = first; id < Math.min(first + PER_FILE, EVENTS + 1); id++) {
      const told = events[(id - 1) % events.length];
      const again = Math.floor((id - 1) / events.length);
      const report = "round" in told.report ? { ...told.report, round: told.report.round + again * span } : told.report;
      lines.push(JSON.stringify({ ...told, id, report }), "\n");
    }
    writeFileSync(join(home, "feed", `${String(first).padStart(12, "0")}.jsonl`), lines.join(""));
  }
  const swarm = up(home, "--nodes", "1", "--no-control");
  try {
    const url = await swarm.begun;
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
    const cdp = await page.context().newCDPSession(page);
    await cdp.send("Performance.enable");
    await page.goto(`${url}?again#/learning`);
    await page.evaluate(() => {
      window.frames_seen = 0;
      window.frames_since = performance.now();
      const count = () => {
        window.frames_seen += 1;
        requestAnimationFrame(count);
      };
      requestAnimationFrame(count);
    });
    let most = 0;
    await until("the last event", async () => {
      const { metrics } = await cdp.send("Performance.getMetrics");
      most = Math.max(most, metrics.find((metric) => metric.name === "JSHeapUsedSize").value);
      return Number(await page.locator("main").getAttribute("data-event")) >= EVENTS;
    });
    const fps = await page.evaluate(() => (1000 * window.frames_seen) / (performance.now() - window.frames_since));
    await cdp.send("HeapProfiler.collectGarbage");
    const { metrics } = await cdp.send("Performance.getMetrics");
    const held = metrics.find((metric) => metric.name === "JSHeapUsedSize").value;
    console.log(`      ${EVENTS} events: ${(most / 1e6).toFixed(0)} MB at most, ${(held / 1e6).toFixed(0)} MB held, ${fps.toFixed(0)} frames a second`);
    check(most < LIMIT_HEAP, `${EVENTS} events are gone through in less than ${LIMIT_HEAP / 1e6} MB`);
    await page.screenshot({ path: join(out, "learning-long.png"), fullPage: true });
    await page.close();
  } finally {
    swarm.child.kill("SIGINT");
    await swarm.ended;
  }
}

function browserProgram() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  for (const name of ["chromium", "chromium-browser", "google-chrome"]) {
    try {
      return execFileSync("which", [name], { encoding: "utf8" }).trim();
    } catch {}
  }
  throw new Error("no Chromium: install it (`apt install chromium`), or name one with CHROMIUM");
}

mkdirSync(out, { recursive: true });
const swarm = up(join(work, "swarm"), "--nodes", "3");
let browser;
try {
  const url = await swarm.begun;
  browser = await chromium.launch({ executablePath: browserProgram(), args: ["--headless=new", "--no-sandbox", "--disable-gpu"] });
  console.log(`dashboard at ${url}`);
  const early = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  await early.goto(url);
  await early.locator("h1").waitFor();
  await early.screenshot({ path: join(out, "beginning.png") });
  await early.close();
  await until("rounds", async () => {
    const { nodes } = await state(url);
    return nodes.length === 4 && nodes.every((node) => node.curve.length >= 9) && nodes.some((node) => node.audits.length > 0);
  });
  await pages(browser, url);
  await hands(browser, url);
  execFileSync(process.execPath, [join(here, "../node_modules/vitest/vitest.mjs"), "run", "--config", "vitest.live.config.ts"], {
    cwd: join(here, ".."),
    env: { ...process.env, DASHBOARD_URL: url },
    stdio: "inherit",
  });
  if (process.env.SCHEMATHESIS) {
    // What a limit may be depends on which it is, and its own words say so: a schema cannot, so not all that one allows is taken.
    const without = "ignored_auth,positive_data_acceptance";
    execFileSync(process.env.SCHEMATHESIS, ["run", join(here, "../openapi.json"), "--url", url, "--exclude-path", "/api/v1/stream", "--max-examples", "40", "--checks", "all", "--exclude-checks", without], { stdio: "inherit" });
  }
  await long(browser, url);
} catch (error) {
  failures.push(String(error?.stack ?? error));
} finally {
  await browser?.close();
  swarm.child.kill("SIGINT");
  await swarm.ended;
  rmSync(work, { recursive: true, force: true });
}
if (failures.length > 0) {
  console.error(`\n${failures.length} did not hold:\n${failures.join("\n")}`);
  process.exit(1);
}
