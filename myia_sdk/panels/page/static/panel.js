// The panel: one connection to Python, the heartbeat, and the repaints.

const HEARTBEAT_MS = 5000;
const SLOW_MS = 3000;
const STALE_MS = 12500;
const VIEWS = { monitor: monitorView, certificates: certificatesView };
const BOOT_TEXTS = {
  en: ["Loading …", "No kernel answers. Run the cell again to see live data."],
  pt: ["Carregando …", "Nenhum kernel responde. Execute a célula de novo para ver dados ao vivo."],
};

class Panel {
  constructor(model, el) {
    this.model = model;
    this.id = `myia-${Math.random().toString(36).slice(2, 10)}`;
    this.root = document.createElement("div");
    this.root.className = "myia myia-root";
    this.showStatic = hideStatic(model);
    el.appendChild(this.root);
    this.tree = { children: [] };
    this.state = null;
    this.words = null;
    this.skew = 0;
    this.sequence = 0;
    this.unanswered = new Map();
    this.heardAt = Date.now();
    this.startedAt = Date.now();
    this.ui = {
      selected: new Set(), compared: [], query: "", logFilter: "", follow: true,
      detailTab: "", isQueueOpen: false, clean: null, schedule: null, typed: "", job: null, change: "",
    };
    this.receive = this.receive.bind(this);
    this.onVisibility = () => this.beat();
    this.onKey = (event) => {
      const isOurs = !["Escape", "Tab"].includes(event.key) || this.root.querySelector("dialog[open]");
      if (isOurs && !event.ctrlKey && !event.metaKey) event.stopPropagation();
    };
    this.root.addEventListener("keydown", this.onKey);
    model.on("msg:custom", this.receive);
    document.addEventListener("visibilitychange", this.onVisibility);
    this.timers = [setInterval(() => this.beat(), HEARTBEAT_MS), setInterval(() => this.repaint(), 1000)];
    this.repaint();
    this.send("hello");
    // Form fields of the same panel stand outside this element.
    setTimeout(() => {
      this.frame = this.root.closest(".myia-panel");
      if (this.frame) this.frame.addEventListener("keydown", this.onKey);
    }, 0);
  }

  send(event, fields) {
    this.sequence += 1;
    if (event !== "hello" && event !== "hidden" && event !== "gone") this.unanswered.set(this.sequence, Date.now());
    try {
      this.model.send({ event, view: this.id, seq: this.sequence, ...fields });
    } catch (error) {
      // A kernel that was restarted or a widget that was closed: the notice says so.
      console.debug("myia: not sent", error);
    }
  }

  act(event, fields) { this.send(event, fields); }

  beat() { this.send(document.visibilityState === "hidden" ? "hidden" : "alive"); }

  receive(message) {
    if (message.now) this.skew = message.now - Date.now();
    this.heardAt = Date.now();
    if (message.type === "ack") {
      for (const sequence of this.unanswered.keys()) {
        if (sequence <= message.seq) this.unanswered.delete(sequence);
      }
      this.repaint();
    } else if (message.type === "snapshot") {
      this.state = message.state;
      this.words = new Words(message.texts, message.language);
      this.repaint();
      restoreRate(this);
      this.ui.flowOf = "";
      if (this.ui.isQueueOpen && !this.state.server) this.act("queue_details", { is_open: true });
      this.askForFlow();
    } else if (message.type === "patch" && this.state) {
      this.state = applyOperations(this.state, message.operations);
      this.repaint();
      this.askForFlow();
    } else if (message.type === "download" && message.view === this.id) {
      this.download(message);
    }
  }

  // The other end of a connection that broke is new and knows nothing of open parts.
  askForFlow() {
    const { detail } = this.state;
    if (this.ui.detailTab !== "flow" || !detail || !detail.family || detail.flow) return;
    if (this.ui.flowOf === detail.row.id) return;
    this.ui.flowOf = detail.row.id;
    this.act("flow", { is_open: true });
  }

  download({ name, mime, text }) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: mime }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  now() { return Date.now() + this.skew; }

  allows(action) { return this.state.permissions.includes(action); }

  accepts(action, state) { return (this.state.job_actions[action] || []).includes(state); }

  trouble() {
    const oldest = Math.min(...this.unanswered.values());
    if (!this.unanswered.size || Date.now() - oldest < SLOW_MS) return "";
    if (Date.now() - this.heardAt > STALE_MS) return this.words.t("stale", { time: this.words.time(this.heardAt + this.skew) });
    return this.words.t("kernel_busy");
  }

  repaint() {
    let children;
    if (this.state) {
      this.root.lang = this.words.language;
      this.root.classList.toggle("myia-stale", Boolean(this.trouble()) && Date.now() - this.heardAt > STALE_MS);
      children = VIEWS[this.state.kind](this).flat().filter(Boolean);
    } else {
      const texts = BOOT_TEXTS[(document.documentElement.lang || navigator.language || "en").slice(0, 2)] || BOOT_TEXTS.en;
      children = [h("p", { class: "myia-empty", role: "status" }, texts[Date.now() - this.startedAt > 2 * HEARTBEAT_MS ? 1 : 0])];
    }
    patchChildren(this.root, this.tree.children, children);
    this.tree = { children };
    for (const log of this.root.querySelectorAll('.myia-log[data-follow="true"]')) log.scrollTop = log.scrollHeight;
  }

  destroy() {
    this.timers.forEach(clearInterval);
    this.showStatic();
    document.removeEventListener("visibilitychange", this.onVisibility);
    if (this.frame) this.frame.removeEventListener("keydown", this.onKey);
    this.model.off("msg:custom", this.receive);
    this.send("gone");
    this.root.remove();
  }
}

// The static copy of a panel is an output of its own, for readers without a kernel.
function hideStatic(model) {
  const mark = model.get("mark");
  if (!mark) return () => {};
  const style = document.createElement("style");
  style.textContent = `.myia-static[data-panel="${mark}"] { display: none; }`;
  document.head.appendChild(style);
  return () => style.remove();
}

function render({ model, el }) {
  const panel = new Panel(model, el);
  return () => panel.destroy();
}

export default { render };
