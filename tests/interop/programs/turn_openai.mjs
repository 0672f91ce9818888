// Streams one turn with a tool through `openai`. Prints the pieces of the text as a JSON array.
import OpenAI from "openai";

const [baseURL, asked] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: "any", maxRetries: 0 });
const parameters = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
const tools = [{ type: "function", name: "get_weather", parameters, strict: true }];
const input = [{ role: "user", content: asked }];
const pieces = [];

for (let calls = ["first"]; calls.length; ) {
  const stream = client.responses.stream({ model: "scripted", input, tools, store: false });
  for await (const event of stream) {
    if (event.type === "response.output_text.delta") pieces.push(event.delta);
  }
  const { output } = await stream.finalResponse();
  calls = output.filter((item) => item.type === "function_call");
  const outputs = calls.map(({ call_id, arguments: text }) => ({
    type: "function_call_output",
    call_id,
    output: `Sunny in ${JSON.parse(text).city}.`,
  }));
  input.push(...output, ...outputs);
}
console.log(JSON.stringify(pieces));
