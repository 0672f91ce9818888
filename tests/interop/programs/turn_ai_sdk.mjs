// Streams one turn with a tool through the AI SDK. Prints the pieces of the text as a JSON array.
import { createOpenAI } from "@ai-sdk/openai";
import { stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const [baseURL, prompt] = process.argv.slice(2);
const weather = tool({
  description: "Say what the weather is in a city.",
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `Sunny in ${city}.`,
});
const result = streamText({
  model: createOpenAI({ baseURL, apiKey: "any" }).responses("scripted"),
  prompt,
  tools: { get_weather: weather },
  stopWhen: stepCountIs(3),
  maxRetries: 0,
  onError: ({ error }) => {
    throw error;
  },
});
const pieces = [];
for await (const piece of result.textStream) pieces.push(piece);
console.log(JSON.stringify(pieces));
