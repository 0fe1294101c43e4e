// OpenAI's own npm client, unchanged, against the chat server: chat, streams, pictures, JSON of a form, errors.
//   (cd tools/browser && npm ci)
//   chat-server --port 8080 &
//   node tools/interop/openai_node.mjs http://127.0.0.1:8080
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(new URL("../browser/package.json", import.meta.url));
const { default: OpenAI } = await import(pathToFileURL(require.resolve("openai")));

const address = process.argv[2] ?? "http://127.0.0.1:8080";
const client = new OpenAI({ baseURL: `${address}/v1`, apiKey: "none", maxRetries: 0 });
let passed = 0;
const test = async (name, work) => {
  await work();
  passed += 1;
  console.log(`ok ${name}`);
};
// One gray pixel.
const pixel = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg==";
const about = (text, n = 1) => [{ role: "user", content: [...Array(n).fill({ type: "image_url", image_url: { url: pixel } }), { type: "text", text }] }];
const says = (content) => [{ role: "user", content }];

const { data: [{ id: model }] } = await client.models.list();
const scripted = model === "scripted";
const where = about("[refer] where is the pancreas?");
const { choices: [{ message: { content: text } }] } = await client.chat.completions.create({ model, messages: where });
await test("models", async () => assert.equal((await client.models.retrieve(model)).id, model));
await test("chat and usage", async () => {
  const { choices, usage } = await client.chat.completions.create({ model, messages: says("hello") });
  assert.ok(choices[0].message.content);
  assert.equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
});
await test("pictures and boxes", async () => {
  const ask = () => client.chat.completions.create({ model, messages: about("[refer] where is the pancreas?", 2), temperature: 0.6, top_p: 0.9, seed: 7 });
  const [answer, again] = [await ask(), await ask()];
  assert.equal(answer.choices[0].message.content, again.choices[0].message.content);
  if (scripted) assert.equal(answer.choices[0].message.content, "{<38><45><62><58>}");
  const { grounding: { boxes: [box] } } = await client.chat.completions.create({ model, messages: where });
  assert.equal(box.label, "pancreas");
});
await test("stop and max_tokens", async () => {
  const stopped = await client.chat.completions.create({ model, messages: where, stop: "><" });
  assert.equal(stopped.choices[0].message.content, text.split("><")[0]);
  const cut = await client.chat.completions.create({ model, messages: where, max_tokens: 2 });
  assert.equal(cut.choices[0].finish_reason, "length");
});
await test("stream with usage", async () => {
  const stream = await client.chat.completions.create({ model, messages: where, stream: true, stream_options: { include_usage: true } });
  let streamed = "";
  let usage;
  for await (const chunk of stream) {
    streamed += chunk.choices[0]?.delta?.content ?? "";
    usage = chunk.usage ?? usage;
  }
  assert.equal(streamed, text);
  assert.ok(usage.completion_tokens > 3);
});
await test("stream helper", async () => {
  assert.equal(await client.chat.completions.stream({ model, messages: where }).finalContent(), text);
});
await test("json_schema", async () => {
  const schema = {
    type: "object",
    properties: { boxes: { type: "array", items: { type: "object", properties: { label: { type: "string" }, box: { type: "array", items: { type: "number" } } }, required: ["label", "box"], additionalProperties: false } } },
    required: ["boxes"],
    additionalProperties: false,
  };
  const answer = await client.chat.completions.parse({ model, messages: about("where is the pancreas?"), response_format: { type: "json_schema", json_schema: { name: "boxes", strict: true, schema } } });
  const { boxes: [box] } = JSON.parse(answer.choices[0].message.content);
  assert.equal(box.label, "pancreas");
  assert.equal(box.box.length, 4);
});
await test("errors", async () => {
  await assert.rejects(client.chat.completions.create({ model: "x", messages: says("a") }), OpenAI.NotFoundError);
  await assert.rejects(client.chat.completions.create({ model, messages: says("a"), temperature: 9 }), OpenAI.BadRequestError);
  if (scripted) await assert.rejects(client.chat.completions.create({ model, messages: says("please fail") }), OpenAI.InternalServerError);
  else await assert.rejects(client.chat.completions.create({ model, messages: about("[refer] where is the heart?") }), OpenAI.BadRequestError);
});
await test("a stream is aborted", async () => {
  const stream = await client.chat.completions.create({ model, messages: scripted ? says("count 1000") : where, stream: true });
  for await (const chunk of stream) if (chunk.choices[0]?.delta?.content) break;
  const answer = await client.chat.completions.create({ model, messages: says("hello") });
  assert.ok(answer.choices[0].message.content);
});
console.log(`${passed} passed, 0 failed`);
