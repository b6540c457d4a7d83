// The TypeScript SDK's 1.x client: `node typescript_1.mjs STEPS (COMMAND [ARGS] | URL)`.

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport as Sse } from "@modelcontextprotocol/sdk/client/sse.js";
import { StdioClientTransport as Stdio } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport as Streamable } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import {
  CallToolResultSchema,
  CreateMessageRequestSchema,
  CreateTaskResultSchema,
  ElicitRequestSchema,
  GetTaskResultSchema,
  ListRootsRequestSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { CAPABILITIES, answer, command, play, reach, tell } from "./steps.mjs";

const { steps, server } = command();
const client = new Client({ name: "typescript-1", version: "1.0.0" }, { capabilities: CAPABILITIES });
for (const schema of [CreateMessageRequestSchema, ElicitRequestSchema, ListRootsRequestSchema]) {
  client.setRequestHandler(schema, async (request) => answer(request));
}
client.fallbackNotificationHandler = tell;
await client.connect(reach(server, { Stdio, Streamable, Sse }));

await play(client, steps, {
  call: (client, params, options) => client.callTool(params, undefined, options),
  task: async (client, params) => {
    const created = await client.request({ method: "tools/call", params }, CreateTaskResultSchema);
    const { taskId } = created.task;
    const result = await client.request({ method: "tasks/result", params: { taskId } }, CallToolResultSchema);
    const last = await client.request({ method: "tasks/get", params: { taskId } }, GetTaskResultSchema);
    return { created, result, last };
  },
});
