// The panel on a page of its own: anywidget's `model` over a websocket.

const root = document.documentElement;
const base = root.dataset.base;
const { default: panel } = await import(`${base}/panel.js`);

const RETRY_MS = [500, 1000, 2000, 5000];

class SocketModel {
  constructor(kind) {
    this.kind = kind;
    this.handlers = new Map();
    this.waiting = [];
    this.tries = 0;
    this.isClosed = false;
    this.hello = null;
    this.connect();
  }

  connect() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.socket = new WebSocket(`${scheme}://${location.host}${base}/socket/${this.kind}`);
    this.socket.onopen = () => {
      this.tries = 0;
      document.getElementById("lost").hidden = true;
      if (this.hello) this.socket.send(this.hello);
      this.waiting.splice(0).forEach((text) => this.socket.send(text));
    };
    this.socket.onmessage = (event) => {
      const message = JSON.parse(event.data);
      for (const handler of this.handlers.get("msg:custom") || []) handler(message);
    };
    this.socket.onclose = () => {
      if (this.isClosed) return;
      document.getElementById("lost").hidden = false;
      setTimeout(() => this.connect(), RETRY_MS[Math.min(this.tries, RETRY_MS.length - 1)]);
      this.tries += 1;
    };
  }

  get(name) { return name === "kind" ? this.kind : ""; }

  on(name, handler) { this.handlers.set(name, [...(this.handlers.get(name) || []), handler]); }

  off(name, handler) { this.handlers.set(name, (this.handlers.get(name) || []).filter((one) => one !== handler)); }

  send(content) {
    const text = JSON.stringify(content);
    if (content.event === "hello") this.hello = text;
    if (content.event === "open") history.replaceState(null, "", `#${this.kind}${content.id ? `/${encodeURIComponent(content.id)}` : ""}`);
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(text);
    else if (content.event !== "alive" && content.event !== "hello") this.waiting.push(text);
  }

  close() {
    this.isClosed = true;
    this.socket.close();
  }
}

let shown = null;

function show() {
  const [kind, id] = location.hash.slice(1).split("/");
  const chosen = kind === "certificates" ? kind : "monitor";
  if (shown && shown.kind === chosen) return;
  if (shown) {
    shown.clean();
    shown.model.close();
  }
  const model = new SocketModel(chosen);
  const clean = panel.render({ model, el: document.getElementById("place") });
  shown = { kind: chosen, model, clean };
  if (id) model.send({ event: "open", view: "link", id: decodeURIComponent(id) });
  for (const link of document.querySelectorAll(".board-nav a")) {
    if (link.dataset.kind === chosen) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function setTheme(name) {
  root.dataset.theme = name;
  document.getElementById("theme").setAttribute("aria-pressed", String(name === "dark"));
}

const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
setTheme(localStorage.getItem("myia-theme") || system);
document.getElementById("theme").addEventListener("click", () => {
  const next = root.dataset.theme === "dark" ? "light" : "dark";
  localStorage.setItem("myia-theme", next);
  setTheme(next);
});
addEventListener("hashchange", show);
show();
