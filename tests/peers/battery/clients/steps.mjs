// Plays a session of `sessions.json` and prints what the client saw, as one JSON document. The two
// TypeScript clients differ in how they connect and in a few signatures; those they pass in. In place of a
// command there may be a URL: one that ends in `/sse` is for HTTP+SSE, any other for Streamable HTTP.

import { readFileSync } from "node:fs";

export const ANSWERS = {
  "roots/list": { roots: [{ uri: "file:///srv/project", name: "project" }] },
  "sampling/createMessage": {
    role: "assistant",
    model: "none",
    stopReason: "endTurn",
    content: { type: "text", text: "hello" },
  },
  "elicitation/create": { action: "accept", content: { name: "Ada", check: true, integer: 7 } },
};

export const CAPABILITIES = { roots: { listChanged: true }, sampling: {}, elicitation: { form: {}, url: {} } };

// What the server asks and tells, in no order: it is not the client's to choose.
const asked = [];
const told = [];

export function answer(request) {
  asked.push(plain(request));
  if (request.params?.mode === "url") return { action: "accept" };
  return ANSWERS[request.method];
}

export async function tell(notification) {
  told.push(plain(notification));
}

export function command() {
  const [steps, program, ...args] = process.argv.slice(2);
  return { steps: JSON.parse(readFileSync(steps)), server: { command: program, args, env: process.env } };
}

// How the server is reached, with the SDK's transports.
export function reach(server, { Stdio, Streamable, Sse }) {
  if (!server.command.startsWith("http")) return new Stdio(server);
  const url = new URL(server.command);
  return url.pathname.endsWith("/sse") ? new Sse(url) : new Streamable(url);
}

export async function play(client, steps, peer) {
  const transcript = [{ do: "connect", server: client.getServerVersion(), offers: client.getServerCapabilities(),
    instructions: client.getInstructions() }];
  for (const step of steps) transcript.push({ ...step, ...(await outcome(() => perform(client, step, peer))) });
  await client.close();
  console.log(JSON.stringify({ transcript, asked: sorted(asked), told: sorted(told) }));
}

async function perform(client, step, peer) {
  const call = (tool, args, options) => peer.call(client, { name: tool, arguments: args ?? {} }, options);
  switch (step.do) {
    case "call":
      return call(step.tool, step.arguments);
    case "progress": {
      const progress = [];
      const result = await call(step.tool, step.arguments, { onprogress: (report) => progress.push(report) });
      return { progress, result };
    }
    case "cancel": {
      const abort = new AbortController();
      return call(step.tool, step.arguments, { signal: abort.signal, onprogress: () => abort.abort("enough") });
    }
    case "together":
      return Promise.all(step.calls.map(({ tool, arguments: args }) => outcome(() => call(tool, args))));
    case "many":
      return Promise.all(
        Array.from({ length: step.count }, (_, n) => call(step.tool, step.arguments ?? { message: `number ${n}` })),
      );
    case "large": {
      const result = await call(step.tool, { message: "x".repeat(step.size) });
      return result.content.map((block) => block.text.length);
    }
    case "task":
      return peer.task(client, { name: step.tool, arguments: step.arguments, task: { ttl: 60000 } });
    case "ping":
      return client.ping();
    case "list_tools":
      return client.listTools(step.cursor && { cursor: step.cursor });
    case "list_resources":
      return client.listResources();
    case "list_resource_templates":
      return client.listResourceTemplates();
    case "list_prompts":
      return client.listPrompts();
    case "read":
      return client.readResource({ uri: step.uri });
    case "subscribe":
      return client.subscribeResource({ uri: step.uri });
    case "unsubscribe":
      return client.unsubscribeResource({ uri: step.uri });
    case "prompt":
      return client.getPrompt({ name: step.name, arguments: step.arguments });
    case "complete":
      return client.complete({ ref: { type: "ref/prompt", name: step.prompt }, argument: step.argument });
    case "set_level":
      return client.setLoggingLevel(step.level);
    default:
      throw new Error(`unknown step: ${step.do}`);
  }
}

async function outcome(action) {
  try {
    return { result: plain(await action()) };
  } catch (error) {
    return { error: { name: error?.name, code: error?.code, message: String(error?.message ?? error), data: error?.data } };
  }
}

function plain(value) {
  return value === undefined ? null : JSON.parse(JSON.stringify(value));
}

function sorted(values) {
  return values.map((value) => JSON.stringify(value)).sort();
}
