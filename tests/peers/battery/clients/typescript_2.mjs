// The TypeScript SDK's 2.x client, which finds out the server's era first, in a process of its own:
// `node typescript_2.mjs STEPS (COMMAND [ARGS] | URL)`.

import { Client, SSEClientTransport as Sse, StreamableHTTPClientTransport as Streamable } from "@modelcontextprotocol/client";
import { StdioClientTransport as Stdio } from "@modelcontextprotocol/client/stdio";
import { ANSWERS, CAPABILITIES, answer, command, play, reach, tell } from "./steps.mjs";

const { steps, server } = command();
const client = new Client(
  { name: "typescript-2", version: "1.0.0" },
  { capabilities: CAPABILITIES, versionNegotiation: { mode: "auto" } },
);
for (const method of Object.keys(ANSWERS)) client.setRequestHandler(method, async (request) => answer(request));
client.fallbackNotificationHandler = tell;
await client.connect(reach(server, { Stdio, Streamable, Sse }));

await play(client, steps, {
  call: (client, params, options) => client.callTool(params, options),
  task: async () => {
    throw new Error("this client knows no tasks");
  },
});
