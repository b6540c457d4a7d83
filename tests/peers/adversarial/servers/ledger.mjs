// What a JavaScript target writes down when it executes a tool. See `ledger.py`.

import { appendFileSync } from "node:fs";

export const TOOLS = ["allowed", "forbidden"];

export function execute(path, tool, given) {
  if (!TOOLS.includes(tool)) throw new Error(`no such tool: ${tool}`);
  appendFileSync(path, JSON.stringify({ tool, arguments: given ?? {} }) + "\n");
  return { content: [{ type: "text", text: `${tool} executed` }] };
}

export function list() {
  return { tools: TOOLS.map((name) => ({ name, inputSchema: { type: "object" } })) };
}
