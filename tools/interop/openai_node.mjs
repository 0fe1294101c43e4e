// OpenAI's own npm client, unchanged, against the chat server: chat, streams, pictures, JSON of a form, errors.
//   (cd tools/browser && npm ci)
//   cargo run -p chat-api --example scripted_server -- --port 8080 &
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
await test("models", async () => assert.equal((await client.models.retrieve(model)).id, model));
await test("chat and usage", async () => {
  const { choices, usage } = await client.chat.completions.create({ model, messages: says("hello") });
  assert.ok(choices[0].message.content);
  assert.equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
});
await test("pictures and boxes", async () => {
  const answer = await client.chat.completions.create({ model, messages: about("[refer] where is the pancreas?", 2), temperature: 0.6, top_p: 0.9, seed: 7 });
  assert.equal(answer.choices[0].message.content, "{<38><45><62><58>}");
  assert.equal(answer.grounding.boxes[0].label, "pancreas");
});
await test("stop and max_tokens", async () => {
  const stopped = await client.chat.completions.create({ model, messages: says("count 50"), stop: "4" });
  assert.equal(stopped.choices[0].message.content, "1 2 3 ");
  const cut = await client.chat.completions.create({ model, messages: says("count 50"), max_tokens: 2 });
  assert.equal(cut.choices[0].finish_reason, "length");
});
await test("stream with usage", async () => {
  const stream = await client.chat.completions.create({ model, messages: says("count 9"), stream: true, stream_options: { include_usage: true } });
  let text = "";
  let usage;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta?.content ?? "";
    usage = chunk.usage ?? usage;
  }
  assert.equal(text, "1 2 3 4 5 6 7 8 9 ");
  assert.equal(usage.completion_tokens, 9);
});
await test("stream helper", async () => {
  const final = await client.chat.completions.stream({ model, messages: about("[refer] the pancreas") }).finalContent();
  assert.equal(final, "{<38><45><62><58>}");
});
await test("json_schema", async () => {
  const schema = {
    type: "object",
    properties: { boxes: { type: "array", items: { type: "object", properties: { label: { type: "string" }, box: { type: "array", items: { type: "number" } } }, required: ["label", "box"], additionalProperties: false } } },
    required: ["boxes"],
    additionalProperties: false,
  };
  const answer = await client.chat.completions.parse({ model, messages: about("the pancreas"), response_format: { type: "json_schema", json_schema: { name: "boxes", strict: true, schema } } });
  const { boxes: [box] } = JSON.parse(answer.choices[0].message.content);
  assert.equal(box.label, "pancreas");
  assert.equal(box.box.length, 4);
});
await test("errors", async () => {
  await assert.rejects(client.chat.completions.create({ model: "x", messages: says("a") }), OpenAI.NotFoundError);
  await assert.rejects(client.chat.completions.create({ model, messages: says("a"), temperature: 9 }), OpenAI.BadRequestError);
  await assert.rejects(client.chat.completions.create({ model, messages: says("please fail") }), OpenAI.InternalServerError);
});
await test("a stream is aborted", async () => {
  const stream = await client.chat.completions.create({ model, messages: says("count 1000"), stream: true });
  for await (const chunk of stream) if (chunk.choices[0]?.delta?.content?.includes("3")) break;
  const answer = await client.chat.completions.create({ model, messages: says("hello") });
  assert.ok(answer.choices[0].message.content);
});
console.log(`${passed} passed, 0 failed`);
