// The chat page in a headless browser against the real server with the checkpoints that it carries.
// `node chat.mjs [--server FILE] [--samples PREPARE_SLICES] [--shots FOLDER]`: the studies are phantoms that
// `prepare-slices` makes, and a real one where there is shared data.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { option, root, run, target } from "./harness.mjs";

const samples = mkdtempSync(join(tmpdir(), "chat-samples-"));
const made = (layout) => {
  const options = ["phantom", "--patients", "1", "--size", "256", "--slices", "32-32", "--seed", "5", "--layout", layout, "--out", join(samples, layout)];
  const { status, stderr } = spawnSync(option("--samples", join(target, "debug/prepare-slices")), options, { encoding: "utf8" });
  assert.equal(status, 0, stderr);
  return readdirSync(join(samples, layout), { recursive: true }).map((name) => join(samples, layout, name));
};
const dicom = made("nih").filter((name) => name.endsWith(".dcm"));
const nifti = made("msd").filter((name) => /imagesTr.*\.nii\.gz$/.test(name));
assert.equal(dicom.length, 32);

const binary = option("--server", join(target, "debug/chat-server"));
await run(binary, ["--log", "warn"], async ({ page, address, problems, test, shot, words, facts, lastAnswer, answered, expected, drawn, near, saved }) => {
  /** What the API answers to the same question about the slice in view. */
  const answerOf = (question) => page.evaluate(async (text) => {
    const id = performance.getEntriesByType("resource").map((entry) => entry.name.match(/studies\/([0-9a-f]{32}|example)\/slices/)?.[1]).filter(Boolean).pop();
    const slice = document.getElementById("slice").value;
    const content = [{ type: "image_url", image_url: { url: `study:${id}/${slice}` } }, { type: "text", text }];
    const reply = await fetch("/v1/chat/completions", { method: "POST", body: JSON.stringify({ messages: [{ role: "user", content }] }) });
    return reply.json();
  }, question);
  /** Asks by the button, and holds the page to what the API answers. */
  const asksForPancreas = async (columns, rows) => {
    const question = "[refer] where is the pancreas?";
    const { choices: [{ message }], grounding } = await answerOf(question);
    const [box] = grounding.boxes;
    assert.equal(box.label, "pancreas");
    await page.getByRole("button", { name: "Where is the pancreas?" }).click();
    await answered();
    assert.equal(await lastAnswer.locator(".raw").textContent(), message.content);
    near(await drawn("pancreas"), await expected(columns, rows, box.box_px));
    return box;
  };

  await test("the page says what it is", async () => {
    await page.goto(address);
    await page.waitForFunction(() => document.getElementById("model-name").textContent.startsWith("minigpt-pancreas-nano"));
    assert.ok(await page.getByText("Research use only").first().isVisible());
  });
  await test("a DICOM series is opened and scrolled", async () => {
    await page.setInputFiles("#file-input", dicom);
    await facts("DICOM: 256 × 256 px, 32 slices");
    const first = await page.locator("#canvas").evaluate((canvas) => canvas.toDataURL());
    await page.locator("#stage").hover();
    await page.mouse.wheel(0, -100);
    await page.waitForFunction(() => document.getElementById("slice-words").textContent !== "17 / 32");
    await page.locator("#stage").focus();
    await page.keyboard.press("Home");
    assert.equal(await words("slice-words"), "1 / 32");
    await page.locator("#slice").fill("15");
    await page.waitForTimeout(150);
    assert.notEqual(await page.locator("#canvas").evaluate((canvas) => canvas.toDataURL()), first);
  });
  await test("text is streamed, and the box is at the right pixels", async () => {
    // The answer is there in a few milliseconds; what came in pieces is told by their number.
    await page.evaluate(() => {
      window.seen = [];
      new MutationObserver(() => {
        const text = document.querySelector(".is-streaming .text")?.textContent;
        if (text && text !== window.seen.at(-1)) window.seen.push(text);
      }).observe(document.getElementById("messages"), { childList: true, subtree: true, characterData: true });
    });
    const box = await asksForPancreas(256, 256);
    const [x1, y1, x2, y2] = box.box_px;
    assert.ok(x2 - x1 > 20 && y2 - y1 > 10 && x1 > 40 && x2 < 216, `${box.box_px}`);
    const seen = await page.evaluate(() => window.seen);
    assert.ok(seen.length > 1 && seen.every((text, n) => n === 0 || text.startsWith(seen[n - 1])), `${seen}`);
    await shot("answer");
  });
  await test("a question of one's own, yes or no, and organs", async () => {
    await page.fill("#question", "[refer] could you tell me the location for the spleen?");
    await page.press("#question", "Enter");
    await answered();
    assert.match(await lastAnswer.textContent(), /spleen/);
    await page.getByRole("button", { name: "Is there a tumor?" }).click();
    await answered();
    assert.match(await lastAnswer.textContent(), /(yes|no) \(yes with probability 0\.\d\d\)/);
    await page.getByRole("button", { name: "Organs" }).click();
    await page.waitForFunction(() => document.querySelectorAll(".message.assistant .chip").length >= 5);
    await answered();
    assert.ok(await page.locator('#overlay rect.found[data-label="liver"]').count() > 0);
  });
  await test("what was not learned is said in plain words", async () => {
    const known = problems.length;
    await page.fill("#question", "[refer] where is the heart?");
    await page.click("#send");
    await answered();
    assert.match(await lastAnswer.textContent(), /taught where the pancreas/);
    // The browser itself notes the refused request; nothing else may be there.
    const more = problems.splice(known);
    assert.ok(more.every((text) => text.includes("400")), more.join());
  });
  await test("the study is looked at as a whole, and findings are kept", async () => {
    await page.click("#restart");
    // NIH's patients are called after the organ, which is a word of these findings: left in.
    assert.ok(!(await page.isChecked("#run-anonymize")));
    await page.click("#run-start");
    await page.locator("#findings-list button").first().waitFor({ timeout: 120_000 });
    const names = await page.locator("#findings-list button").allTextContents();
    assert.ok(names.some((name) => name.includes("pancreas")), `${names}`);
    await page.locator("#findings-list button").first().click();
    const [name, bytes] = await saved(() => page.getByRole("button", { name: "Download findings.json", exact: true }).click());
    assert.equal(name, "findings.json");
    const found = JSON.parse(bytes);
    assert.match(found.note, /research use only/);
    const pancreas = found.findings.find(({ label }) => label === "pancreas");
    const [first] = found.findings;
    await page.waitForFunction((n) => document.getElementById("slice-words").textContent === `${n} / 32`, first.key_slice + 1);
    near(await drawn(first.label), await expected(256, 256, first.box_px));
    assert.ok(pancreas.last_slice - pancreas.first_slice > 3);
    for (const [file, start] of [["findings-sr.dcm", null], ["findings-seg.dcm", null], ["coco.json", "{"], ["boxes.nii.gz", "\x1f"], ["montage.png", "\x89PNG"]]) {
      const [name, bytes] = await saved(() => page.getByRole("button", { name: `Download ${file}` }).click());
      assert.equal(name, file);
      if (start) assert.ok(bytes.toString("latin1").startsWith(start), file);
      else assert.equal(bytes.toString("latin1", 128, 132), "DICM");
    }
  });
  await test("a slice is saved, opened as a picture and asked about", async () => {
    await page.locator("#slice").fill("15");
    await page.waitForTimeout(150);
    const bytes = await page.evaluate(async () => {
      const id = performance.getEntriesByType("resource").map((entry) => entry.name.match(/studies\/([0-9a-f]{32})\/slices/)?.[1]).filter(Boolean).pop();
      return [...new Uint8Array(await (await fetch(`/v1/studies/${id}/slices/15.png`)).arrayBuffer())];
    });
    const file = join(samples, "slice.png");
    writeFileSync(file, Buffer.from(bytes));
    await page.setInputFiles("#file-input", file);
    await facts("Pictures: 256 × 256 px, 1 slice");
    await asksForPancreas(256, 256);
  });
  await test("a NIfTI file is opened", async () => {
    await page.setInputFiles("#file-input", nifti);
    await facts("NIfTI: 256 × 256 px, 32 slices");
    await page.locator("#slice").fill("15");
    await asksForPancreas(256, 256);
  });
  await test("the example has a tumor, which is found", async () => {
    await page.click("#restart");
    await page.locator("#open-example").click();
    await facts("Example (synthetic): 256 × 256 px, 40 slices");
    await page.click("#run-start");
    await page.locator("#findings-list button").first().waitFor({ timeout: 120_000 });
    assert.match(await page.locator("#findings-list button").first().textContent(), /pancreatic tumor/);
    await page.locator("#findings-list button").first().click();
    await page.getByRole("button", { name: "Is there a tumor?" }).click();
    await answered();
    assert.match(await lastAnswer.textContent(), /yes/);
    await page.getByRole("button", { name: "Where is the tumor?" }).click();
    await answered();
    assert.ok(await page.locator('#overlay rect.found[data-label="pancreatic tumor"]').count() > 0);
    await shot("findings");
  });
  await test("the page is dark where that is wanted", async () => {
    await page.emulateMedia({ colorScheme: "dark", reducedMotion: "reduce" });
    await page.click("#restart");
    await page.locator("#slice").fill("23");
    await asksForPancreas(256, 256);
    await page.getByRole("button", { name: "Organs" }).click();
    await page.waitForFunction(() => document.querySelectorAll(".message.assistant .chip").length >= 4);
    await answered();
    await shot("dark");
    await page.emulateMedia({ colorScheme: "light" });
  });
  const shared = join(process.env.MINIGPT_PANCREAS_SHARED ?? join(root, "../shared"), "data/totalsegmentator-abdomen/dicom");
  if (existsSync(shared)) {
    await test("a real DICOM series opens", async () => {
      await page.setInputFiles("#file-input", readdirSync(shared).map((name) => join(shared, name)));
      await facts("DICOM: 512 × 512 px, 20 slices, 0.98 × 0.98 × 2.00 mm");
      await asksForPancreas(512, 512);
    });
  } else console.log("skipped: a real DICOM series opens (no shared data)");
});
