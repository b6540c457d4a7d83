// What the conformance suite asks a server for, as functions: the same behind both SDKs and every transport.

const PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
const SILENCE = "UklGRiQAAABXQVZFZm10IBAAAAABAAEARKwAAIhYAQACABAAZGF0YQAAAAA=";

const text = (said) => ({ type: "text", text: said });
const image = { type: "image", data: PIXEL, mimeType: "image/png" };
const said = (...content) => ({ content });
const soon = () => new Promise((resolve) => setTimeout(resolve, 50));
const object = (properties = {}, required = []) => ({ type: "object", properties, required });

const defaults = {
  name: { type: "string", description: "a name", default: "John Doe" },
  age: { type: "integer", description: "an age", default: 30 },
  score: { type: "number", description: "a score", default: 95.5 },
  status: { type: "string", description: "a status", enum: ["active", "inactive", "pending"], default: "active" },
  verified: { type: "boolean", description: "whether it was verified", default: true },
};

const options = ["option1", "option2", "option3"];
const titled = ["First", "Second", "Third"].map((title, index) => ({ const: `value${index + 1}`, title: `${title} Option` }));
const enums = {
  untitledSingle: { type: "string", enum: options },
  titledSingle: { type: "string", oneOf: titled },
  legacyEnum: { type: "string", enum: ["opt1", "opt2", "opt3"], enumNames: ["Option One", "Option Two", "Option Three"] },
  untitledMulti: { type: "array", items: { type: "string", enum: options } },
  titledMulti: { type: "array", items: { anyOf: titled } },
};

const strict = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object",
  $defs: {
    address: {
      $anchor: "addressDef",
      type: "object",
      properties: { street: { type: "string" }, city: { type: "string" } },
    },
  },
  properties: {
    name: { type: "string" },
    address: { $ref: "#/$defs/address" },
    contactMethod: { type: "string", enum: ["phone", "email"] },
    phone: { type: "string" },
    email: { type: "string" },
  },
  allOf: [{ anyOf: [{ required: ["phone"] }, { required: ["email"] }] }],
  if: { properties: { contactMethod: { const: "phone" } }, required: ["contactMethod"] },
  then: { required: ["phone"] },
  else: { required: ["email"] },
  additionalProperties: false,
};

// Each tool: its schema, and what it does. `peer` sends to the client: `notify(method, params)`, `ask(method, params)`.
const tools = {
  test_simple_text: [object(), () => said(text("This is a simple text response for testing."))],
  test_image_content: [object(), () => said(image)],
  test_audio_content: [object(), () => said({ type: "audio", data: SILENCE, mimeType: "audio/wav" })],
  test_embedded_resource: [
    object(),
    () =>
      said({
        type: "resource",
        resource: { uri: "test://embedded-resource", mimeType: "text/plain", text: "This is an embedded resource content." },
      }),
  ],
  test_multiple_content_types: [
    object(),
    () =>
      said(text("Multiple content types test:"), image, {
        type: "resource",
        resource: { uri: "test://mixed-content-resource", mimeType: "application/json", text: '{"test":"data","value":123}' },
      }),
  ],
  test_tool_with_logging: [
    object(),
    async (_, peer) => {
      for (const data of ["Tool execution started", "Tool processing data", "Tool execution completed"]) {
        await peer.notify("notifications/message", { level: "info", data });
        await soon();
      }
      return said(text("logged"));
    },
  ],
  test_tool_with_progress: [
    object(),
    async (_, peer) => {
      for (const progress of [0, 50, 100]) {
        await peer.notify("notifications/progress", { progressToken: peer.token, progress, total: 100 });
        await soon();
      }
      return said(text(String(peer.token)));
    },
  ],
  test_error_handling: [
    object(),
    () => ({ isError: true, content: [text("This tool intentionally returns an error for testing")] }),
  ],
  test_reconnection: [object(), async () => (await soon(), said(text("Reconnection test completed successfully")))],
  test_sampling: [
    object({ prompt: { type: "string" } }, ["prompt"]),
    async ({ prompt }, peer) => {
      const messages = [{ role: "user", content: text(prompt) }];
      const { content } = await peer.ask("sampling/createMessage", { messages, maxTokens: 100 });
      return said(text(`LLM response: ${content.text}`));
    },
  ],
  test_elicitation: [
    object({ message: { type: "string" } }, ["message"]),
    ({ message }, peer) => elicit(peer, message, object({ response: { type: "string" } }, ["response"]), "User response"),
  ],
  test_elicitation_sep1034_defaults: [
    object(),
    (_, peer) => elicit(peer, "defaults", object(defaults), "Elicitation completed"),
  ],
  test_elicitation_sep1330_enums: [object(), (_, peer) => elicit(peer, "enums", object(enums), "Elicitation completed")],
  json_schema_2020_12_tool: [strict, (given) => said(text(JSON.stringify(given)))],
  test_x_mcp_header: [
    object({ region: { type: "string", "x-mcp-header": "Region" }, query: { type: "string" } }),
    (given) => said(text(JSON.stringify(given))),
  ],
};

async function elicit(peer, message, requestedSchema, word) {
  const { action, content } = await peer.ask("elicitation/create", { message, requestedSchema });
  return said(text(`${word}: action=${action}, content=${JSON.stringify(content ?? {})}`));
}

const resources = {
  "test://static-text": { mimeType: "text/plain", text: "This is the content of the static text resource." },
  "test://static-binary": { mimeType: "image/png", blob: PIXEL },
  "test://watched-resource": { mimeType: "text/plain", text: "Watched resource content" },
};

const prompts = {
  test_simple_prompt: [[], () => [text("This is a simple prompt for testing.")]],
  test_prompt_with_arguments: [
    ["arg1", "arg2"],
    ({ arg1, arg2 }) => [text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`)],
  ],
  test_prompt_with_embedded_resource: [
    ["resourceUri"],
    ({ resourceUri: uri }) => [
      { type: "resource", resource: { uri, mimeType: "text/plain", text: "Embedded resource content for testing." } },
      text("Please process the embedded resource above."),
    ],
  ],
  test_prompt_with_image: [[], () => [image, text("Please analyze the image above.")]],
};

export const CAPABILITIES = {
  tools: { listChanged: true },
  resources: { subscribe: true, listChanged: true },
  prompts: { listChanged: true },
  logging: {},
  completions: {},
};

export class NotThere extends Error {}

// What each request is answered with: `(params, peer) => result`.
export const ANSWERS = {
  "tools/list": () => ({
    tools: Object.entries(tools).map(([name, [inputSchema]]) => ({ name, description: name, inputSchema })),
  }),
  "tools/call": ({ name, arguments: given }, peer) => {
    if (!(name in tools)) throw new NotThere(`unknown tool ${name}`);
    return tools[name][1](given ?? {}, peer);
  },
  "resources/list": () => ({
    resources: Object.entries(resources).map(([uri, { mimeType }]) => ({ uri, name: uri, description: uri, mimeType })),
  }),
  "resources/templates/list": () => ({
    resourceTemplates: [{ uriTemplate: "test://template/{id}/data", name: "template", mimeType: "application/json" }],
  }),
  "resources/read": ({ uri }) => {
    const id = /^test:\/\/template\/([^/]+)\/data$/.exec(uri)?.[1];
    if (id) {
      const data = JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` });
      return { contents: [{ uri, mimeType: "application/json", text: data }] };
    }
    if (!(uri in resources)) throw new NotThere(`no resource ${uri}`);
    return { contents: [{ uri, ...resources[uri] }] };
  },
  "prompts/list": () => ({
    prompts: Object.entries(prompts).map(([name, [names]]) => ({
      name,
      description: name,
      arguments: names.map((name) => ({ name, description: name, required: true })),
    })),
  }),
  "prompts/get": ({ name, arguments: given }) => {
    if (!(name in prompts)) throw new NotThere(`no prompt ${name}`);
    return { messages: prompts[name][1](given ?? {}).map((content) => ({ role: "user", content })) };
  },
  "completion/complete": () => ({ completion: { values: [], total: 0, hasMore: false } }),
};

// Those of the era with sessions alone.
export const OLDER = {
  "resources/subscribe": () => ({}),
  "resources/unsubscribe": () => ({}),
  "logging/setLevel": () => ({}),
};
