// The conformance suite's server on the TypeScript SDK's 2.x line, without sessions:
// `node server_2.mjs stdio`, or `node server_2.mjs http`, which prints its port.

import { createServer } from "node:http";
import { Readable } from "node:stream";
import { ProtocolError, Server, createMcpHandler } from "@modelcontextprotocol/server";
import { serveStdio } from "@modelcontextprotocol/server/stdio";
import { ANSWERS, CAPABILITIES, NotThere } from "./offer.mjs";

const INVALID_PARAMS = -32602;

function server() {
  const made = new Server({ name: "conformance-2", version: "1.0.0" }, { capabilities: CAPABILITIES });
  for (const [method, answer] of Object.entries(ANSWERS)) {
    made.setRequestHandler(method, async ({ params }, context) => {
      const peer = {
        token: params?._meta?.progressToken ?? 0,
        notify: (method, params) => context.mcpReq.notify({ method, params }),
        ask: () => Promise.reject(new Error("this era has no requests of servers")),
      };
      try {
        return await answer(params ?? {}, peer);
      } catch (error) {
        throw error instanceof NotThere ? new ProtocolError(INVALID_PARAMS, error.message) : error;
      }
    });
  }
  return made;
}

if (process.argv[2] === "stdio") {
  serveStdio(server);
} else {
  const handler = createMcpHandler(server);
  const http = createServer(async (request, response) => {
    const { port } = http.address();
    if (![`localhost:${port}`, `127.0.0.1:${port}`].includes(request.headers.host)) return response.writeHead(403).end();
    const ended = new AbortController();
    response.on("close", () => ended.abort());
    const body = ["GET", "HEAD", "DELETE"].includes(request.method) ? undefined : Readable.toWeb(request);
    const { method, headers } = request;
    const asked = new Request(`http://${headers.host}${request.url}`, { method, headers, body, duplex: "half", signal: ended.signal });
    const answer = await handler.fetch(asked);
    response.writeHead(answer.status, Object.fromEntries(answer.headers));
    if (answer.body) Readable.fromWeb(answer.body).on("error", () => response.destroy()).pipe(response);
    else response.end();
  });
  http.listen(0, "localhost", () => console.log(http.address().port));
}
