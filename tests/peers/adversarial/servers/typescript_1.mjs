// A target on the TypeScript SDK's 1.x line: `node typescript_1.mjs LEDGER`.

import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { CallToolRequestSchema, ListToolsRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { execute, list } from "./ledger.mjs";

const ledger = process.argv[2];
const server = new Server({ name: "typescript-1", version: "1.0.0" }, { capabilities: { tools: {} } });
server.setRequestHandler(ListToolsRequestSchema, async () => list());
server.setRequestHandler(CallToolRequestSchema, async ({ params }) => execute(ledger, params.name, params.arguments));
process.stdin.on("end", () => process.exit(0));
await server.connect(new StdioServerTransport());
