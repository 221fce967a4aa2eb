// The panel on a page of its own: anywidget's `model` over a websocket.

const root = document.documentElement;
const base = root.dataset.base;
const { default: panel } = await import(`${base}/panel.js`);

const RETRY_MS = [500, 1000, 2000, 5000];

function unescaped(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return "";
  }
}

// What a link to the board can name: the tab, the search, the page, the open job.
class Place {
  constructor({ tab = "", query = "", page = 0, id = "" } = {}) {
    Object.assign(this, { tab, query, page, id });
  }

  static fromHash(hash) {
    const [path, search] = hash.slice(1).split("?");
    const [kind, id] = path.split("/");
    const values = new URLSearchParams(search);
    const place = new Place({
      tab: values.get("tab") || "", query: values.get("q") || "", page: Math.max(0, Math.trunc(Number(values.get("page"))) - 1 || 0),
      id: unescaped(id || ""),
    });
    return { kind: kind === "certificates" ? kind : "monitor", place };
  }

  toHash(kind) {
    const values = new URLSearchParams();
    if (this.tab && this.tab !== "latest") values.set("tab", this.tab);
    if (this.query) values.set("q", this.query);
    if (this.page) values.set("page", String(this.page + 1));
    return `#${kind}${this.id ? `/${encodeURIComponent(this.id)}` : ""}${values.size ? `?${values}` : ""}`;
  }

  note(content) {
    if (content.event === "tab") Object.assign(this, { tab: content.tab, page: 0 });
    else if (content.event === "search") Object.assign(this, { query: content.query, page: 0 });
    else if (content.event === "page") this.page = content.page;
    else if (content.event === "open") this.id = content.id;
    else return false;
    return true;
  }

  // From a panel as it starts to this place; from another place when there is one.
  events(kind, before) {
    const from = before || new Place();
    const events = [];
    if (kind === "monitor" && this.tab !== from.tab) events.push({ event: "tab", tab: this.tab || "latest" });
    if (this.query !== from.query) events.push({ event: "search", query: this.query });
    if (kind === "monitor" && (this.page !== from.page || (this.page && events.length))) events.push({ event: "page", page: this.page });
    if (this.id !== from.id) events.push({ event: "open", id: this.id });
    return events.map((one) => ({ ...one, view: "link" }));
  }
}

class SocketModel {
  constructor(kind, place) {
    this.kind = kind;
    this.place = place;
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
      // The other end is a new one, also after an interruption.
      for (const content of this.place.events(this.kind)) this.socket.send(JSON.stringify(content));
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
    const isPlace = this.place.note(content);
    if (isPlace) history.replaceState(null, "", this.place.toHash(this.kind));
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(text);
    else if (!isPlace && content.event !== "alive" && content.event !== "hello") this.waiting.push(text);
  }

  go(place) {
    const events = place.events(this.kind, this.place);
    this.place = place;
    events.forEach((content) => this.send(content));
  }

  close() {
    this.isClosed = true;
    this.socket.close();
  }
}

let shown = null;

function show() {
  const { kind, place } = Place.fromHash(location.hash);
  if (shown && shown.kind === kind) {
    shown.model.go(place);
    return;
  }
  if (shown) {
    shown.clean();
    shown.model.close();
  }
  const model = new SocketModel(kind, place);
  const clean = panel.render({ model, el: document.getElementById("place") });
  shown = { kind, model, clean };
  for (const link of document.querySelectorAll(".board-nav a")) {
    if (link.dataset.kind === kind) link.setAttribute("aria-current", "page");
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
