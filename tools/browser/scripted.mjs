// The chat page in a headless browser against the scripted server: what a user does, and what must be seen.
// `node scripted.mjs [--server FILE] [--shots FOLDER]`
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { option, png, root, run, target } from "./harness.mjs";

const binary = option("--server", join(target, "debug/examples/scripted_server"));
const samples = mkdtempSync(join(tmpdir(), "chat-samples-"));
const made = spawnSync(binary, ["--samples", samples], { encoding: "utf8" });
assert.equal(made.status, 0, made.stderr);
const dicom = readdirSync(join(samples, "dicom")).map((name) => join(samples, "dicom", name));
writeFileSync(join(samples, "picture.png"), png(200));

await run(binary, ["--token-ms", "15"], async ({ page, address, problems, test, shot, words, facts, lastAnswer, answered, expected, drawn, near, gray, saved }) => {
  await test("the page says what it is", async () => {
    await page.goto(address);
    await page.waitForFunction(() => document.getElementById("model-name").textContent.startsWith("scripted"));
    assert.ok(await page.getByText("Research use only").first().isVisible());
    assert.ok(await page.locator("#send").isDisabled());
    await shot("1-start");
  });
  await test("a picture is opened, drawn and asked about", async () => {
    await page.setInputFiles("#file-input", join(samples, "picture.png"));
    await facts("200 × 200 px, 1 slice");
    await page.waitForTimeout(150);
    assert.ok(Math.abs(await gray(0.37, 0.37, 200, 200) - 230) < 3);
    assert.ok(Math.abs(await gray(0.75, 0.75, 200, 200) - 60) < 3);
    await page.fill("#question", "[refer] where is the pancreas?");
    await page.press("#question", "Enter");
    await answered();
    near(await drawn("pancreas"), await expected(200, 200, [76, 90, 124, 116]));
    assert.match(await lastAnswer.textContent(), /pancreas 87 %/);
  });
  await test("a DICOM series is opened and scrolled by wheel, keys and slider", async () => {
    await page.setInputFiles("#file-input", dicom);
    await facts("DICOM: 128 × 128 px, 24 slices");
    assert.equal(await words("slice-words"), "13 / 24");
    const first = await page.locator("#canvas").evaluate((canvas) => canvas.toDataURL());
    await page.locator("#stage").hover();
    await page.mouse.wheel(0, -100);
    await page.waitForFunction(() => document.getElementById("slice-words").textContent === "15 / 24" || document.getElementById("slice-words").textContent === "14 / 24");
    await page.waitForTimeout(150);
    assert.notEqual(await page.locator("#canvas").evaluate((canvas) => canvas.toDataURL()), first);
    await page.locator("#stage").focus();
    await page.keyboard.press("Home");
    assert.equal(await words("slice-words"), "1 / 24");
    await page.keyboard.press("PageUp");
    assert.equal(await words("slice-words"), "11 / 24");
    await page.locator("#slice").fill("4");
    assert.equal(await words("slice-words"), "5 / 24");
    await page.locator("#slice").fill("12");
  });
  await test("windows are chosen and dragged", async () => {
    await page.locator("#presets").getByText("Lung").click();
    assert.match(await words("corner-window"), /W 1500\s+L -600/);
    const center = await page.locator("#stage").boundingBox();
    await page.mouse.move(center.x + center.width / 2, center.y + center.height / 2);
    await page.mouse.down();
    await page.mouse.move(center.x + center.width / 2 + 60, center.y + center.height / 2 - 20, { steps: 4 });
    await page.mouse.up();
    assert.doesNotMatch(await words("corner-window"), /W 1500/);
    await page.locator("#stage").focus();
    await page.keyboard.press("2");
    assert.match(await words("corner-window"), /W 400\s+L 50/);
  });
  await test("the canvas shows what the server's PNG shows", async () => {
    await page.waitForTimeout(150);
    const differences = await page.evaluate(async () => {
      const id = performance.getEntriesByType("resource").map((entry) => entry.name.match(/studies\/([0-9a-f]{32})\/slices/)?.[1]).filter(Boolean).pop();
      const bitmap = await createImageBitmap(await (await fetch(`/v1/studies/${id}/slices/12.png?window=-150,250`)).blob());
      const canvas = Object.assign(document.createElement("canvas"), { width: 128, height: 128 });
      canvas.getContext("2d").drawImage(bitmap, 0, 0);
      const png = canvas.getContext("2d").getImageData(0, 0, 128, 128).data;
      const { grayTable } = await import("/assets/windows.js");
      const hu = new Int16Array(await (await fetch(`/v1/studies/${id}/slices/12.i16`)).arrayBuffer());
      const table = grayTable({ low: -150, high: 250 });
      let most = 0;
      hu.forEach((value, n) => { most = Math.max(most, Math.abs(table[value + 32768] - png[4 * n])); });
      return most;
    });
    assert.equal(differences, 0);
  });
  await test("text is streamed and the box is at the right pixels", async () => {
    await page.locator("#stage").focus();
    await page.keyboard.press("0");
    await page.getByRole("button", { name: "Where is the pancreas?" }).click();
    await page.waitForFunction(() => {
      const text = document.querySelector(".message.assistant:last-child .text")?.textContent ?? "";
      return document.querySelector(".is-streaming") && text.length > 0 && text.length < 20;
    });
    await answered();
    near(await drawn("pancreas"), await expected(128, 128, [0.38 * 128, 0.45 * 128, 0.62 * 128, 0.58 * 128]));
    assert.match(await lastAnswer.locator(".raw").textContent(), /\{<38><45><62><58>\}/);
    await shot("2-answer");
  });
  await test("boxes follow zoom and hide", async () => {
    const before = await drawn("pancreas");
    await page.locator("#stage").focus();
    await page.keyboard.press("+");
    assert.ok((await drawn("pancreas")).width > before.width * 1.2);
    await page.keyboard.press("b");
    assert.equal(await page.locator("#overlay rect.found").count(), 0);
    await page.keyboard.press("b");
    await page.keyboard.press("0");
    near(await drawn("pancreas"), before);
  });
  await test("yes or no, grounded text, and organs", async () => {
    await page.getByRole("button", { name: "Is there a tumor?" }).click();
    await answered();
    assert.match(await lastAnswer.textContent(), /yes \(yes with probability 0\.73\)/);
    await page.fill("#question", "[grounding] describe this image");
    await page.click("#send");
    await answered();
    assert.equal(await lastAnswer.locator(".phrase").count(), 2);
    assert.equal(await lastAnswer.locator(".text").textContent(), "liver and spleen");
    await page.getByRole("button", { name: "Organs" }).click();
    await page.waitForFunction(() => document.querySelectorAll(".message.assistant .chip").length >= 5);
    await answered();
    assert.ok(await page.locator('#overlay rect.found[data-label="spleen"]').count() > 0);
    await shot("3-organs");
  });
  await test("a box is identified with the keyboard", async () => {
    await page.locator("#stage").focus();
    await page.keyboard.press("i");
    assert.equal(await page.locator("#overlay rect.drawn").count(), 1);
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("Shift+ArrowDown");
    await page.keyboard.press("Enter");
    await answered();
    assert.match(await page.locator(".message.user").last().textContent(), /\[identify\].*\{<41><40><61><61>\}/);
  });
  await test("a box is identified with the pointer", async () => {
    await page.locator("#drags").getByText("Box").click();
    const at = await expected(128, 128, [32, 32, 64, 64]);
    const stage = await page.locator("#stage").boundingBox();
    await page.mouse.move(stage.x + at.x, stage.y + at.y);
    await page.mouse.down();
    await page.mouse.move(stage.x + at.x + at.width, stage.y + at.y + at.height, { steps: 3 });
    await page.mouse.up();
    await answered();
    assert.match(await page.locator(".message.user").last().textContent(), /\{<25><25><50><50>\}/);
  });
  await test("an answer is stopped, and the next one comes", async () => {
    await page.fill("#question", "count 500");
    await page.click("#send");
    await page.waitForFunction(() => document.querySelector(".is-streaming .text")?.textContent.startsWith("1 2"));
    await page.click("#stop");
    await answered();
    assert.match(await lastAnswer.textContent(), /stopped/);
    await page.fill("#question", "hello");
    await page.click("#send");
    await answered();
    assert.match(await lastAnswer.textContent(), /synthetic abdomen/);
    await lastAnswer.getByRole("button", { name: "Copy" }).click();
    assert.match(await page.evaluate(() => navigator.clipboard.readText()), /synthetic abdomen/);
  });
  await test("the study is looked at as a whole, and findings are kept", async () => {
    await page.click("#run-start");
    await page.waitForFunction(() => document.getElementById("run-words").textContent.includes("of 24"));
    await page.locator("#findings-list button").first().waitFor();
    assert.match(await page.locator("#strip").getAttribute("aria-label"), /highest is 0\.9/);
    await page.locator("#slice").fill("2");
    await page.locator("#findings-list button").first().click();
    await page.waitForFunction(() => document.getElementById("slice-words").textContent === "13 / 24");
    near(await drawn("tumor"), await expected(128, 128, [64, 60.16, 71.68, 67.84]));
    const [name, bytes] = await saved(() => page.getByRole("button", { name: "Download findings.json" }).click());
    assert.equal(name, "findings.json");
    const findings = JSON.parse(bytes);
    assert.equal(findings.findings[0].label, "tumor");
    assert.match(findings.note, /research use only/);
    const [csv] = await saved(() => page.getByRole("button", { name: "Download boxes.csv" }).click());
    assert.equal(csv, "boxes.csv");
    await shot("4-findings");
  });
  await test("image, answer and conversation are kept", async () => {
    const [image, pixels] = await saved(() => page.click("#save-image"));
    assert.equal(image, "slice-13.png");
    assert.equal(pixels.toString("latin1", 1, 4), "PNG");
    const [name, text] = await saved(() => page.click("#save-chat"));
    assert.equal(name, "conversation.txt");
    assert.match(text.toString(), /research use only/);
  });
  await test("a NIfTI file is opened, and the conversation restarts", async () => {
    await page.setInputFiles("#file-input", join(samples, "study.nii.gz"));
    await facts("NIfTI: 128 × 128 px, 24 slices");
    await page.click("#restart");
    assert.equal(await page.locator(".message").count(), 0);
  });
  const shared = join(process.env.MINIGPT_PANCREAS_SHARED ?? join(root, "../shared"), "data/totalsegmentator-abdomen/dicom");
  if (existsSync(shared)) {
    await test("a real DICOM series opens", async () => {
      await page.setInputFiles("#file-input", readdirSync(shared).map((name) => join(shared, name)));
      await facts("DICOM: 512 × 512 px, 20 slices, 0.98 × 0.98 × 2.00 mm");
      await page.getByRole("button", { name: "Where is the pancreas?" }).click();
      await answered();
      near(await drawn("pancreas"), await expected(512, 512, [0.38 * 512, 0.45 * 512, 0.62 * 512, 0.58 * 512]));
      await shot("8-real");
    });
  } else console.log("skipped: a real DICOM series opens (no shared data)");
  await test("a study that the server lost is uploaded again, without a word", async () => {
    const fetched = () => page.waitForFunction(() => performance.getEntriesByType("resource").some(({ name }) => /slices\/[0-9]+\./.test(name)));
    // Another study first, so that what is seen and fetched is the new one's.
    await page.evaluate(() => performance.clearResourceTimings());
    await page.setInputFiles("#file-input", join(samples, "picture.png"));
    await facts("200 × 200 px, 1 slice");
    await fetched();
    await page.evaluate(() => performance.clearResourceTimings());
    await page.setInputFiles("#file-input", join(samples, "study.nii.gz"));
    await facts("NIfTI: 128 × 128 px, 24 slices");
    await fetched();
    const known = problems.length;
    const ids = () => page.evaluate(() => performance.getEntriesByType("resource").map((entry) => entry.name.match(/studies\/([0-9a-f]{32})\/slices/)?.[1]).filter(Boolean));
    const lose = async () => {
      const id = (await ids()).pop();
      assert.equal(await page.evaluate(async (path) => (await fetch(path, { method: "DELETE" })).status, `/v1/studies/${id}`), 204);
      return id;
    };
    const lost = await lose();
    await page.getByRole("button", { name: "Where is the pancreas?" }).click();
    await answered();
    assert.match(await lastAnswer.textContent(), /pancreas 87 %/);
    // With the question before it, about the same slice.
    await page.getByRole("button", { name: "Is there a tumor?" }).click();
    await answered();
    assert.match(await lastAnswer.textContent(), /yes/);
    /** A slice that was not looked at comes from the study's new number. */
    const fetches = async (slice) => {
      await page.evaluate(() => performance.clearResourceTimings());
      await page.locator("#slice").fill(`${slice}`);
      await page.waitForFunction((n) => performance.getEntriesByType("resource").some(({ name }) => name.endsWith(`slices/${n}.i16`)), slice);
    };
    await fetches(2);
    assert.notEqual((await ids()).pop(), lost);
    await lose();
    await page.click("#run-start");
    await page.locator("#findings-list button").first().waitFor();
    await fetches(22);
    await lose();
    await page.getByRole("button", { name: "Download boxes.csv" }).click();
    await page.locator("#problem").waitFor();
    assert.match(await words("problem-words"), /look at the whole study again/);
    await page.click("#problem-close");
    // The browser itself notes the refused requests; nothing else may be there.
    const more = problems.splice(known);
    assert.ok(more.every((text) => text.includes("404")), more.join());
  });
  await test("the example study opens", async () => {
    await page.locator("#open-example").click();
    await facts("Example (synthetic): 256 × 256 px, 40 slices");
    await page.waitForTimeout(200);
    await shot("5-example");
  });
  await test("a file of another kind is refused in plain words", async () => {
    writeFileSync(join(samples, "letter.txt"), "Dear colleague");
    const known = problems.length;
    await page.setInputFiles("#file-input", join(samples, "letter.txt"));
    await page.locator("#problem").waitFor();
    assert.match(await words("problem-words"), /None of these files/);
    // The browser itself notes the refused request; nothing else may be there.
    const more = problems.splice(known);
    assert.ok(more.every((text) => text.includes("400")), more.join());
    await page.click("#problem-close");
  });
  await test("everything is reached with the keyboard, and has a name", async () => {
    const seen = new Set();
    await page.evaluate(() => document.activeElement?.blur());
    for (let n = 0; n < 70; n += 1) {
      await page.keyboard.press("Tab");
      seen.add(await page.evaluate(() => document.activeElement.id || document.activeElement.name || document.activeElement.textContent.trim()));
    }
    for (const id of ["pick-files", "stage", "slice", "question", "temperature", "run-start"]) assert.ok(seen.has(id), `${id} of ${[...seen]}`);
    const nameless = await page.evaluate(() => [...document.querySelectorAll("button, input:not([hidden]), select, textarea")].filter((element) => !(element.getAttribute("aria-label") || element.textContent.trim() || element.labels?.length || element.title)).map((element) => element.outerHTML));
    assert.deepEqual(nameless, []);
  });
  await test("dark, and narrow", async () => {
    await page.emulateMedia({ colorScheme: "dark", reducedMotion: "reduce" });
    await page.getByRole("button", { name: "Where is the pancreas?" }).click();
    await answered();
    await shot("6-dark");
    await page.setViewportSize({ width: 420, height: 900 });
    await page.waitForTimeout(150);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth + 1), "nothing is cut off");
    await shot("7-narrow");
  });
});
