// Streams one turn with a tool through `@openai/agents`. Prints the pieces of the text as a JSON array.
import { Agent, OpenAIResponsesModel, Runner, tool } from "@openai/agents";
import OpenAI from "openai";
import { z } from "zod";

const [baseURL, asked] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: "any", maxRetries: 0 });
const weather = tool({
  name: "get_weather",
  description: "Say what the weather is in a city.",
  parameters: z.object({ city: z.string() }),
  execute: async ({ city }) => `Sunny in ${city}.`,
});
const model = new OpenAIResponsesModel(client, "scripted");
const agent = new Agent({ name: "Weather", instructions: "Be brief.", model, tools: [weather] });
// Traces would go over the network.
const result = await new Runner({ tracingDisabled: true }).run(agent, asked, { stream: true });
const pieces = [];
for await (const piece of result.toTextStream()) pieces.push(piece);
await result.completed;
console.log(JSON.stringify(pieces));
