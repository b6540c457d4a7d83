// The client under test of the conformance suite, which adds a URL: `node client.mjs SDK URL` is the SDK's client at that
// URL, and `node client.mjs SDK THOTH POLICY HOME URL` the same client before `thoth run --url`, with a login where the
// scenario wants one. It does what a user would: lists what there is, and calls it.

import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { createInterface } from "node:readline";

const scenario = process.env.MCP_CONFORMANCE_SCENARIO;
const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? "{}");
const [sdk, ...rest] = process.argv.slice(2);
const url = new URL(rest.pop());
const [thoth, policy, home] = rest;
const env = { ...process.env, HOME: home };

const CAPABILITIES = { elicitation: { form: { applyDefaults: true } }, sampling: {}, roots: {} };
const LOGIN = "conformance";

async function connected() {
  const command = { command: thoth, args: ["run", "--agent-id", "conformance", "--policy", policy, "--url", url.href, ...login], env };
  const accept = async () => ({ action: "accept", content: {} });
  if (sdk === "1") {
    const { Client } = await import("@modelcontextprotocol/sdk/client/index.js");
    const { StdioClientTransport } = await import("@modelcontextprotocol/sdk/client/stdio.js");
    const { StreamableHTTPClientTransport } = await import("@modelcontextprotocol/sdk/client/streamableHttp.js");
    const { ElicitRequestSchema } = await import("@modelcontextprotocol/sdk/types.js");
    const client = new Client({ name: "peers", version: "1.0.0" }, { capabilities: CAPABILITIES });
    client.setRequestHandler(ElicitRequestSchema, accept);
    await client.connect(thoth ? new StdioClientTransport(command) : new StreamableHTTPClientTransport(url));
    return client;
  }
  const { Client, StreamableHTTPClientTransport } = await import("@modelcontextprotocol/client");
  const { StdioClientTransport } = await import("@modelcontextprotocol/client/stdio");
  const options = { capabilities: CAPABILITIES, versionNegotiation: { mode: "auto" } };
  const client = new Client({ name: "peers", version: "1.0.0" }, options);
  client.setRequestHandler("elicitation/create", accept);
  await client.connect(thoth ? new StdioClientTransport(command) : new StreamableHTTPClientTransport(url));
  return client;
}

// Logs in, and is the browser: it opens the address that is printed, and goes where it is sent.
function logIn(...flags) {
  return new Promise((resolve, reject) => {
    const child = spawn(thoth, ["auth", "login", LOGIN, "--no-browser", ...flags], { env, stdio: ["ignore", "pipe", "inherit"] });
    createInterface(child.stdout).on("line", (line) => {
      console.error(line);
      const address = line.trim();
      if (address.startsWith("http")) fetch(address).catch((error) => console.error(String(error)));
    });
    child.on("exit", (status) => (status === 0 ? resolve() : reject(new Error(`not logged in: ${status}`))));
  });
}

// Arguments that a schema takes.
function made({ properties = {} }) {
  const values = { number: 5, integer: 5, boolean: true, array: [], object: {}, string: "text" };
  return Object.fromEntries(Object.entries(properties).map(([name, { type }]) => [name, values[type] ?? "text"]));
}

function calls(tools) {
  if (context.toolCalls) return context.toolCalls;
  if (scenario === "json-schema-2020-12-preservation") {
    const echo = tools.find(({ inputSchema }) => "schema" in (inputSchema.properties ?? {}));
    const focal = tools.find((tool) => tool !== echo);
    return [{ name: echo.name, arguments: { schema: focal.inputSchema } }];
  }
  return tools.map(({ name, inputSchema }) => ({ name, arguments: made(inputSchema) }));
}

async function tried(action) {
  try {
    return await action();
  } catch (error) {
    console.error(scenario, String(error), JSON.stringify(error.data));
    return error;
  }
}

// Does it, and where thoth says what to type to be let in, types that, and does it once more.
async function allowed(action) {
  const said = await tried(action);
  const typed = /thoth auth login (\S+(?: --scope \S+)*)/.exec(said instanceof Error ? said.message : "");
  if (!typed) return said;
  await tried(() => logIn(...typed[1].split(" ").slice(1)));
  // A sidecar that runs looks at its login once a second.
  await new Promise((resolve) => setTimeout(resolve, 1200));
  return tried(action);
}

const login = [];
if (thoth && scenario.startsWith("auth/")) {
  const flags = ["--url", url.href];
  if (scenario === "auth/basic-cimd") flags.push("--registration", "https://conformance-test.local/client-metadata.json");
  if (context.client_id) flags.push("--client-id", context.client_id);
  if (context.client_secret) {
    writeFileSync(`${home}/secret`, context.client_secret, { mode: 0o600 });
    flags.push("--client-secret-file", `${home}/secret`);
  }
  await logIn(...flags);
  login.push("--upstream-login", LOGIN);
}

const client = await connected();
const { tools = [] } = await allowed(() => client.listTools());
for (const call of calls(tools)) await allowed(() => client.callTool(call));
const offers = client.getServerCapabilities() ?? {};
if (offers.resources) {
  const { resources } = await client.listResources();
  for (const { uri } of resources) await tried(() => client.readResource({ uri }));
}
if (offers.prompts) {
  const { prompts } = await client.listPrompts();
  for (const { name } of prompts) await tried(() => client.getPrompt({ name, arguments: {} }));
}
await client.close();
