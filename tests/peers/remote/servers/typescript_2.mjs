// A server on the TypeScript SDK's 2.x line: `node typescript_2.mjs MODE PORT`. Of 2026-07-28, and for older clients
// without sessions (`stateless`), the same with answers in JSON (`json`), or with sessions for them, with and without
// streams that can be taken up again (`resumable`, `sessions`).

import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { Readable } from "node:stream";
import {
  ProtocolError,
  Server,
  WebStandardStreamableHTTPServerTransport,
  createMcpHandler,
  inputRequired,
  isLegacyRequest,
} from "@modelcontextprotocol/server";
import { CAPABILITIES, Events, LISTED, NOT_FOUND, READ, RESOURCE, RETRY, TOOLS, answered } from "./offer.mjs";

const INVALID_PARAMS = -32602;
const ASKS = {
  "sampling/createMessage": (params) => inputRequired.createMessage(params),
  "elicitation/create": (params) => inputRequired.elicit(params),
  "roots/list": () => inputRequired.listRoots(),
};

const [mode, port] = process.argv.slice(2);

function server() {
  const made = new Server({ name: "typescript-2", version: "1.0.0" }, { capabilities: CAPABILITIES });
  made.setRequestHandler("tools/list", async () => ({ tools: LISTED }));
  made.setRequestHandler("resources/list", async () => ({ resources: [RESOURCE] }));
  made.setRequestHandler("resources/read", async () => READ);
  made.setRequestHandler("tools/call", async ({ params }, { mcpReq, http }) => {
    const token = params._meta?.progressToken ?? mcpReq._meta?.progressToken;
    const peer = {
      signal: mcpReq.signal,
      drop: http?.closeSSE,
      notify: mcpReq.notify,
      say: async () => Promise.all([handler.notify.toolsChanged(), made.sendToolListChanged().catch(() => {})]),
      progress: (params) =>
        token === undefined || mcpReq.notify({ method: "notifications/progress", params: { progressToken: token, ...params } }),
      ask: (method, params) => {
        const said = mcpReq.inputResponses?.asked;
        return said ? answered(said) : inputRequired({ inputRequests: { asked: ASKS[method](params) }, requestState: "asked" });
      },
    };
    if (!(params.name in TOOLS)) throw new ProtocolError(INVALID_PARAMS, `unknown tool ${params.name}`);
    return TOOLS[params.name][1](params.arguments ?? {}, peer);
  });
  return made;
}

const hasSessions = mode === "sessions" || mode === "resumable";
const handler = createMcpHandler(server, { legacy: hasSessions ? "reject" : "stateless", responseMode: mode === "json" ? "json" : "auto" });
const sessions = new Map();

async function legacy(request) {
  const name = request.headers.get("mcp-session-id");
  let transport = sessions.get(name);
  if (!transport && name) return Response.json(NOT_FOUND, { status: 404 });
  if (!transport) {
    transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      eventStore: mode === "resumable" ? new Events() : undefined,
      retryInterval: RETRY,
      onsessioninitialized: (name) => sessions.set(name, transport),
      onsessionclosed: (name) => sessions.delete(name),
    });
    await server().connect(transport);
  }
  return transport.handleRequest(request);
}

createServer(async (request, response) => {
  const ended = new AbortController();
  response.on("close", () => ended.abort());
  const { method, headers } = request;
  const body = ["GET", "HEAD", "DELETE"].includes(method) ? undefined : Readable.toWeb(request);
  const asked = new Request(`http://${headers.host}${request.url}`, { method, headers, body, duplex: "half", signal: ended.signal });
  const answer = hasSessions && (await isLegacyRequest(asked.clone())) ? await legacy(asked) : await handler.fetch(asked);
  response.writeHead(answer.status, Object.fromEntries(answer.headers));
  response.flushHeaders();
  if (answer.body) Readable.fromWeb(answer.body).on("error", () => response.destroy()).pipe(response);
  else response.end();
}).listen(Number(port), "127.0.0.1");
