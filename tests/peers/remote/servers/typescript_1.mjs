// A server on the TypeScript SDK's 1.x line: `node typescript_1.mjs MODE PORT`. With sessions, with sessions whose
// streams can be taken up again (`resumable`), with answers in JSON (`json`), `stateless`, and over HTTP+SSE (`sse`).

import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { SSEServerTransport } from "@modelcontextprotocol/sdk/server/sse.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import {
  CallToolRequestSchema,
  ErrorCode,
  ListResourcesRequestSchema,
  ListToolsRequestSchema,
  McpError,
  ReadResourceRequestSchema,
  ResultSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { CAPABILITIES, Events, LISTED, NOT_FOUND, READ, RESOURCE, RETRY, TOOLS, answered } from "./offer.mjs";

const [mode, port] = process.argv.slice(2);

function server() {
  const made = new Server({ name: "typescript-1", version: "1.0.0" }, { capabilities: CAPABILITIES });
  made.setRequestHandler(ListToolsRequestSchema, async () => ({ tools: LISTED }));
  made.setRequestHandler(ListResourcesRequestSchema, async () => ({ resources: [RESOURCE] }));
  made.setRequestHandler(ReadResourceRequestSchema, async () => READ);
  made.setRequestHandler(CallToolRequestSchema, async ({ params }, extra) => {
    const { signal, sendNotification, sendRequest, closeSSEStream } = extra;
    const token = extra._meta?.progressToken;
    const peer = {
      signal,
      drop: closeSSEStream,
      notify: sendNotification,
      say: (method) => made.notification({ method }),
      progress: (params) =>
        token === undefined || sendNotification({ method: "notifications/progress", params: { progressToken: token, ...params } }),
      ask: async (method, params) => answered(await sendRequest({ method, params }, ResultSchema)),
    };
    if (!(params.name in TOOLS)) throw new McpError(ErrorCode.InvalidParams, `unknown tool ${params.name}`);
    return TOOLS[params.name][1](params.arguments ?? {}, peer);
  });
  return made;
}

const sessions = new Map();

async function streamable(request, response) {
  const name = request.headers["mcp-session-id"];
  let transport = sessions.get(name);
  if (!transport && name) return response.writeHead(404, { "Content-Type": "application/json" }).end(JSON.stringify(NOT_FOUND));
  if (!transport) {
    transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: mode === "stateless" ? undefined : randomUUID,
      enableJsonResponse: mode === "json",
      eventStore: mode === "resumable" ? new Events() : undefined,
      retryInterval: RETRY,
      onsessioninitialized: (name) => sessions.set(name, transport),
      onsessionclosed: (name) => sessions.delete(name),
    });
    await server().connect(transport);
  }
  await transport.handleRequest(request, response);
}

async function sse(request, response) {
  const url = new URL(request.url, "http://localhost");
  if (request.method === "GET" && url.pathname === "/sse") {
    const transport = new SSEServerTransport("/messages", response);
    sessions.set(transport.sessionId, transport);
    response.on("close", () => sessions.delete(transport.sessionId));
    return server().connect(transport);
  }
  const transport = sessions.get(url.searchParams.get("sessionId"));
  if (request.method === "POST" && transport) return transport.handlePostMessage(request, response);
  return response.writeHead(404).end();
}

createServer(mode === "sse" ? sse : streamable).listen(Number(port), "127.0.0.1");
