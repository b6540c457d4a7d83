// The TypeScript SDK's 2.x client, which finds out the server's era first, in a process of its own:
// `node typescript_2.mjs STEPS COMMAND [ARGS]`.

import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { ANSWERS, CAPABILITIES, answer, command, play, tell } from "./steps.mjs";

const { steps, server } = command();
const client = new Client(
  { name: "typescript-2", version: "1.0.0" },
  { capabilities: CAPABILITIES, versionNegotiation: { mode: "auto" } },
);
for (const method of Object.keys(ANSWERS)) client.setRequestHandler(method, async (request) => answer(request));
client.fallbackNotificationHandler = tell;
await client.connect(new StdioClientTransport(server));

await play(client, steps, {
  call: (client, params, options) => client.callTool(params, options),
  task: async () => {
    throw new Error("this client knows no tasks");
  },
});
