// A JSON value as a tree that opens and closes; only what is open is in the page.

const JSON_DEPTH = 3;
const JSON_ENTRIES = 100;
const JSON_STRING = 300;
// Beyond this many entries nothing more opens by itself.
const JSON_OPEN_BUDGET = 400;

// A number as it was written: 1.0 stays 1.0, and long integers keep all digits.
class JsonNumber {
  constructor(source) { this.source = source; }
}

function parseJson(text) {
  const revive = (key, value, context) =>
    (typeof value === "number" ? new JsonNumber(context && context.source ? context.source : String(value)) : value);
  try {
    return { value: JSON.parse(text, revive) };
  } catch {
    return null;
  }
}

function writeClipboard(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // Pages that are not served over TLS have no clipboard object.
  const field = document.createElement("textarea");
  field.value = text;
  document.body.appendChild(field);
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  return isCopied ? Promise.resolve() : Promise.reject(new Error("copy"));
}

function copyButton(panel, name, text) {
  const { ui, words } = panel;
  const tell = (result) => {
    ui.copied = { name, result };
    panel.repaint();
    setTimeout(() => {
      if (ui.copied && ui.copied.name === name) { ui.copied = null; panel.repaint(); }
    }, 2500);
  };
  const result = ui.copied && ui.copied.name === name ? ui.copied.result : "";
  return h("span", { class: "myia-inline" },
    h("button", {
      type: "button", class: "myia-button",
      onclick: () => writeClipboard(text()).then(() => tell("copied"), () => tell("copy.failed")),
    }, words.t("copy")),
    h("span", { class: "myia-muted", role: "status" }, result ? words.t(result) : ""));
}

class JsonTree {
  constructor(panel, memory) {
    this.panel = panel;
    this.memory = memory;
    this.budget = JSON_OPEN_BUDGET;
  }

  remember(kind, path, value) {
    this.memory[kind].set(path, value);
    this.panel.repaint();
  }

  entry(name, value, path, depth) {
    const label = name === null ? null : h("span", { class: "myia-key" }, name, ": ");
    const isBranch = value !== null && typeof value === "object" && !(value instanceof JsonNumber);
    return h("li", { key: path }, isBranch ? this.branch(label, value, path, depth) : [label, this.leaf(value, path)]);
  }

  leaf(value, path) {
    if (value instanceof JsonNumber) return h("span", { class: "myia-scalar" }, value.source);
    if (typeof value !== "string") return h("span", { class: "myia-scalar" }, String(value));
    const { words } = this.panel;
    if (value.length <= JSON_STRING) return h("span", {}, JSON.stringify(value));
    const isWhole = this.memory.whole.has(path);
    const toggle = () => {
      if (isWhole) this.memory.whole.delete(path); else this.memory.whole.set(path, true);
      this.panel.repaint();
    };
    return [
      h("span", {}, isWhole ? JSON.stringify(value) : `${JSON.stringify(value.slice(0, JSON_STRING)).slice(0, -1)}…`), " ",
      h("button", { type: "button", class: "myia-button myia-small", onclick: toggle },
        isWhole ? words.t("json.less") : words.t("json.all", { count: words.count(value.length) })),
    ];
  }

  branch(label, value, path, depth) {
    const { words } = this.panel;
    const isList = Array.isArray(value);
    const names = isList ? null : Object.keys(value);
    const size = isList ? value.length : names.length;
    const summary = words.t(isList ? "json.items" : "json.fields", { count: words.count(size) });
    if (!size) return [label, h("span", { class: "myia-scalar" }, isList ? "[]" : "{}")];
    const isOpen = this.isOpen(path, depth, size);
    return h("details", {
      open: isOpen,
      ontoggle: (event) => {
        if (event.target.open !== isOpen) this.remember("open", path, event.target.open);
      },
    },
    h("summary", {}, label, h("span", { class: "myia-muted" }, isList ? `[ ${summary} ]` : `{ ${summary} }`)),
    isOpen ? this.entries(value, names, size, path, depth) : null);
  }

  isOpen(path, depth, size) {
    const chosen = this.memory.open.get(path);
    if (chosen !== undefined) return chosen;
    if (depth >= JSON_DEPTH || size > this.budget) return false;
    this.budget -= size;
    return true;
  }

  entries(value, names, size, path, depth) {
    const { words } = this.panel;
    const shown = Math.min(size, this.memory.shown.get(path) || JSON_ENTRIES);
    const rows = [];
    for (let index = 0; index < shown; index += 1) {
      const name = names ? names[index] : String(index);
      rows.push(this.entry(name, value[names ? name : index], `${path}/${name.replace(/[~/]/g, (c) => (c === "~" ? "~0" : "~1"))}`, depth + 1));
    }
    if (shown < size) {
      rows.push(h("li", { key: `${path}/ more` }, h("button", {
        type: "button", class: "myia-button myia-small", onclick: () => this.remember("shown", path, shown + JSON_ENTRIES),
      }, words.t("json.more", { count: words.count(Math.min(JSON_ENTRIES, size - shown)), total: words.count(size) }))));
    }
    return h("ul", { class: "myia-entries" }, rows);
  }
}

// What is open is kept for each value of the job that is looked at.
function jsonMemory(panel, name, text) {
  const { ui } = panel;
  const { id } = panel.state.detail.row;
  if (!ui.json || ui.json.id !== id) ui.json = { id, values: {} };
  const { values } = ui.json;
  if (!values[name]) values[name] = { open: new Map(), shown: new Map(), whole: new Map() };
  if (values[name].text !== text) Object.assign(values[name], { text, parsed: parseJson(text) });
  return values[name];
}

function jsonView(panel, name, text) {
  const label = panel.words.t(`detail.${name}`);
  const memory = jsonMemory(panel, name, text);
  const box = { class: "myia-code myia-json", tabindex: "0", role: "group", "aria-label": label };
  return h("div", {},
    h("div", { class: "myia-logbar" }, copyButton(panel, name, () => text)),
    memory.parsed
      ? h("div", { key: "tree", ...box }, h("ul", { class: "myia-entries myia-top" },
        new JsonTree(panel, memory).entry(null, memory.parsed.value, "", 0)))
      : h("pre", { key: "text", ...box }, text));
}
