// What the servers of `remote/` offer, the same behind both TypeScript SDKs and in every way of answering. Each tool:
// its properties, and what it does with the arguments and the `peer`, which is the client as this request sees it.

const soon = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const text = (said) => ({ content: [{ type: "text", text: String(said) }] });
// Between the last notification and the result: TypeScript clients lose a notification that they read with its result.
const LAST = 100;
const form = { type: "object", properties: { name: { type: "string" } }, required: ["name"] };

// The calls of `wait` that have not ended, and how many were cancelled.
let waiting = 0;
let cancelled = 0;

export const TOOLS = {
  echo: [{ text: { type: "string" } }, ({ text: said }) => text(said)],
  fail: [{}, () => ({ ...text("it failed"), isError: true })],
  count: [
    { upto: { type: "number" } },
    async ({ upto }, peer) => {
      for (let progress = 1; progress <= upto; progress += 1) {
        await peer.progress({ progress, total: upto + 1, message: `step ${progress}` });
        await soon(20);
      }
      await soon(LAST);
      return text(`counted to ${upto}`);
    },
  ],
  log: [
    {},
    async (_, peer) => {
      await peer.notify({ method: "notifications/message", params: { level: "error", logger: "offer", data: { is: "here" } } });
      await soon(20);
      return text("logged");
    },
  ],
  wait: [
    {},
    async (_, peer) => {
      await peer.progress({ progress: 1, total: 2 });
      waiting += 1;
      for (let turn = 0; turn < 50 && !peer.signal.aborted; turn += 1) await soon(20);
      waiting -= 1;
      cancelled += peer.signal.aborted ? 1 : 0;
      return text("waited");
    },
  ],
  cancelled: [
    {},
    async () => {
      while (waiting > 0) await soon(20);
      const said = text(cancelled);
      cancelled = 0;
      return said;
    },
  ],
  change: [{}, async (_, peer) => (await peer.say("notifications/tools/list_changed"), await soon(50), text("changed"))],
  // Where streams can be taken up again, the answer waits for the client to come back: it is there before the client
  // is (RETRY), since a server may lose what it says while it replays.
  drop: [
    {},
    async (_, peer) => {
      await peer.progress({ progress: 1, total: 2 });
      await soon(LAST);
      peer.drop?.();
      return text("still here");
    },
  ],
  sample: [{}, (_, peer) => peer.ask("sampling/createMessage", {
    messages: [{ role: "user", content: { type: "text", text: "Say hello" } }],
    maxTokens: 10,
  })],
  elicit: [{}, (_, peer) => peer.ask("elicitation/create", { mode: "form", message: "Who?", requestedSchema: form })],
  roots: [{}, (_, peer) => peer.ask("roots/list", {})],
};

export const LISTED = Object.entries(TOOLS).map(([name, [properties]]) => ({
  name,
  description: name,
  inputSchema: { type: "object", properties, required: Object.keys(properties) },
}));

export const RETRY = 200;
export const CAPABILITIES = { tools: { listChanged: true }, logging: {}, resources: {} };
export const RESOURCE = { uri: "peers://note", name: "note", mimeType: "text/plain" };
export const READ = { contents: [{ uri: RESOURCE.uri, mimeType: "text/plain", text: "a note" }] };

// What the SDK's examples say to a session's name that they do not know.
export const NOT_FOUND = { jsonrpc: "2.0", error: { code: -32001, message: "Session not found" }, id: null };

export const answered = (said) => text(JSON.stringify(said));

// Keeps every event of a server, so that a client that comes back gets what it missed.
export class Events {
  #kept = [];

  async storeEvent(stream, message) {
    this.#kept.push({ stream, message });
    return `${stream}_${this.#kept.length}`;
  }

  async getStreamIdForEventId(id) {
    return id.slice(0, id.lastIndexOf("_"));
  }

  async replayEventsAfter(last, { send }) {
    const stream = await this.getStreamIdForEventId(last);
    const from = Number(last.slice(last.lastIndexOf("_") + 1));
    for (const [index, kept] of this.#kept.entries()) {
      // A message without any content is the event that opens a stream.
      const isMissed = index >= from && kept.stream === stream && kept.message.jsonrpc;
      if (isMissed) await send(`${stream}_${index + 1}`, kept.message);
    }
    return stream;
  }
}
