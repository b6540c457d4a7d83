// A target on the TypeScript SDK's 2.x line, which speaks both eras: `node typescript_2.mjs LEDGER`.

import { Server } from "@modelcontextprotocol/server";
import { serveStdio } from "@modelcontextprotocol/server/stdio";
import { execute, list } from "./ledger.mjs";

const ledger = process.argv[2];

serveStdio(() => {
  const server = new Server({ name: "typescript-2", version: "1.0.0" }, { capabilities: { tools: {} } });
  server.setRequestHandler("tools/list", async () => list());
  server.setRequestHandler("tools/call", async ({ params }) => execute(ledger, params.name, params.arguments));
  return server;
});
