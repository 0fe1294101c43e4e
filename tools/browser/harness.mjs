// A server, a headless browser with its page, and what tests of the page need.
// CHROMIUM names a browser, else it is /usr/bin/chromium or another usual one.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { deflateSync, crc32 } from "node:zlib";
import { chromium } from "playwright-core";

export const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
export const option = (name, value) => (process.argv.includes(name) ? process.argv[process.argv.indexOf(name) + 1] : value);
export const target = resolve(root, process.env.CARGO_TARGET_DIR ?? "target");
const shots = option("--shots", null);
if (shots) mkdirSync(shots, { recursive: true });

/** A gray PNG with a bright square. */
export function png(side) {
  const raw = Buffer.alloc((side + 1) * side);
  for (let y = 0; y < side; y += 1) {
    for (let x = 0; x < side; x += 1) raw[y * (side + 1) + x + 1] = x > side / 4 && x < side / 2 && y > side / 4 && y < side / 2 ? 230 : 60;
  }
  const crc = (bytes) => {
    if (crc32) return crc32(bytes);
    let c = ~0;
    for (const byte of bytes) { c ^= byte; for (let k = 0; k < 8; k += 1) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1; }
    return ~c >>> 0;
  };
  const chunk = (name, data) => {
    const body = Buffer.concat([Buffer.from(name), data]);
    const out = Buffer.alloc(body.length + 8);
    out.writeUInt32BE(data.length, 0);
    body.copy(out, 4);
    out.writeUInt32BE(crc(body), body.length + 4);
    return out;
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(side, 0);
  head.writeUInt32BE(side, 4);
  head.set([8, 0, 0, 0, 0], 8);
  return Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), chunk("IHDR", head), chunk("IDAT", deflateSync(raw)), chunk("IEND", Buffer.alloc(0))]);
}

function findBrowser() {
  const candidates = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
  return candidates.find((path) => path && existsSync(path));
}

/** Starts a server and a browser, runs tests, and ends both; the exit code tells how it went. */
export async function run(binary, serverOptions, tests) {
  const server = spawn(binary, ["--port", "0", ...serverOptions], { stdio: ["ignore", "pipe", "inherit"] });
  const address = await new Promise((done, failed) => {
    server.stdout.once("data", (data) => done(data.toString().split("\n")[0].trim()));
    server.once("exit", () => failed(new Error("the server ended")));
  });
  const browser = await chromium.launch({ executablePath: findBrowser(), args: ["--no-sandbox", "--disable-gpu"] });
  let passed = 0;
  const problems = [];
  try {
    const context = await browser.newContext({ viewport: { width: 1360, height: 900 }, acceptDownloads: true, permissions: ["clipboard-read", "clipboard-write"] });
    const page = await context.newPage();
    page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
    page.on("pageerror", (error) => problems.push(String(error)));
    page.on("request", (request) => {
      const { origin, protocol } = new URL(request.url());
      if (origin !== address && !["blob:", "data:"].includes(protocol)) problems.push(`asked ${origin}`);
    });
    const test = async (name, work) => {
      const start = Date.now();
      try { await work(); } catch (error) {
        if (shots) await page.screenshot({ path: join(shots, "failed.png") });
        error.message = `${name}: ${error.message}`;
        throw error;
      }
      passed += 1;
      console.log(`ok ${name} (${Date.now() - start} ms)`);
    };
    await tests({ page, address, test, problems, ...tools(page) });
    assert.deepEqual(problems, [], "no error on the console, nothing asked elsewhere");
    console.log(`${passed} passed, 0 failed`);
  } catch (error) {
    console.error(error);
    console.log(`${passed} passed, 1 failed`);
    process.exitCode = 1;
  } finally {
    await browser.close();
    server.kill();
  }
}

function tools(page) {
  const shot = async (name) => { if (shots) await page.screenshot({ path: join(shots, `${name}.png`) }); };
  const words = (id) => page.locator(`#${id}`).textContent();
  const facts = (text) => page.waitForFunction((t) => document.getElementById("study-facts").textContent.includes(t), text);
  const lastAnswer = page.locator(".message.assistant").last();
  const answered = async () => page.waitForFunction(() => !document.querySelector(".is-streaming") && document.getElementById("stop").hidden);
  /** Where a box must be on the screen, from where the slice is. */
  const expected = (columns, rows, [x1, y1, x2, y2], aspect = 1) => page.evaluate(([c, r, a, box]) => {
    const { clientWidth: w, clientHeight: h } = document.getElementById("stage");
    const k = Math.min(w / c, h / (r * a));
    const [x, y] = [(w - c * k) / 2, (h - r * a * k) / 2];
    return { x: x + box[0] * k, y: y + box[1] * k * a, width: (box[2] - box[0]) * k, height: (box[3] - box[1]) * k * a };
  }, [columns, rows, aspect, [x1, y1, x2, y2]]);
  const drawn = async (label) => page.locator(`#overlay rect.found[data-label="${label}"]`).first().evaluate((rect) => Object.fromEntries(["x", "y", "width", "height"].map((name) => [name, Number(rect.getAttribute(name))])));
  const near = (got, want) => {
    for (const key of Object.keys(want)) assert.ok(Math.abs(got[key] - want[key]) < 1.5, `${key}: ${got[key]} is not ${want[key]}`);
  };
  /** The gray of the canvas at a place of the slice. */
  const gray = (fx, fy, columns, rows) => page.evaluate(([x, y, c, r]) => {
    const canvas = document.getElementById("canvas");
    const ratio = window.devicePixelRatio;
    const { clientWidth: w, clientHeight: h } = document.getElementById("stage");
    const k = Math.min(w / c, h / r);
    return canvas.getContext("2d").getImageData(((w - c * k) / 2 + x * c * k) * ratio, ((h - r * k) / 2 + y * r * k) * ratio, 1, 1).data[0];
  }, [fx, fy, columns, rows]);
  /** Name and bytes of what a click saves. */
  const saved = async (click) => {
    const [download] = await Promise.all([page.waitForEvent("download"), click()]);
    return [download.suggestedFilename(), readFileSync(await download.path())];
  };
  return { shot, words, facts, lastAnswer, answered, expected, drawn, near, gray, saved };
}
