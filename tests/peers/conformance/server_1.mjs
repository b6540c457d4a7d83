// The conformance suite's server on the TypeScript SDK's 1.x line, with sessions:
// `node server_1.mjs stdio`, or `node server_1.mjs http`, which prints its port.

import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { ErrorCode, McpError, ResultSchema } from "@modelcontextprotocol/sdk/types.js";
import { z } from "zod";
import { ANSWERS, CAPABILITIES, NotThere, OLDER } from "./offer.mjs";

function server() {
  const made = new Server({ name: "conformance-1", version: "1.0.0" }, { capabilities: CAPABILITIES });
  for (const [method, answer] of Object.entries({ ...ANSWERS, ...OLDER })) {
    const schema = z.object({ method: z.literal(method), params: z.any() });
    made.setRequestHandler(schema, async ({ params }, { sendNotification, sendRequest, _meta }) => {
      const peer = {
        token: _meta?.progressToken ?? 0,
        notify: (method, params) => sendNotification({ method, params }),
        ask: (method, params) => sendRequest({ method, params }, ResultSchema),
      };
      try {
        return await answer(params ?? {}, peer);
      } catch (error) {
        throw error instanceof NotThere ? new McpError(ErrorCode.InvalidParams, error.message) : error;
      }
    });
  }
  return made;
}

if (process.argv[2] === "stdio") {
  await server().connect(new StdioServerTransport());
} else {
  const sessions = new Map();
  const http = createServer(async (request, response) => {
    const { port } = http.address();
    const hosts = [`localhost:${port}`, `127.0.0.1:${port}`];
    if (!hosts.includes(request.headers.host)) return response.writeHead(403).end();
    const name = request.headers["mcp-session-id"];
    let transport = sessions.get(name);
    if (name && !transport) return response.writeHead(404).end();
    if (!transport) {
      transport = new StreamableHTTPServerTransport({
        sessionIdGenerator: randomUUID,
        onsessioninitialized: (name) => sessions.set(name, transport),
        onsessionclosed: (name) => sessions.delete(name),
      });
      await server().connect(transport);
    }
    await transport.handleRequest(request, response);
  });
  http.listen(0, "localhost", () => console.log(http.address().port));
}
