// The queue as a whole: summary, throughput, workers, settings, and questions to confirm.

function throughputView(panel) {
  const { state, words } = panel;
  const { completed, failed } = state.throughput;
  const top = Math.max(1, ...completed.map((value, index) => value + failed[index]));
  const minutes = completed.length;
  const bar = (index) => {
    const good = (completed[index] / top) * 30;
    const bad = (failed[index] / top) * 30;
    const x = index * 4;
    return [
      good ? h("rect", { key: `c${index}`, x, y: 30 - good, width: 3, height: good, fill: state.colors.completed }) : null,
      bad ? h("rect", { key: `f${index}`, x, y: 30 - good - bad, width: 3, height: bad, fill: state.colors.failed }) : null,
    ];
  };
  const sum = (values) => values.reduce((a, b) => a + b, 0);
  const label = words.t("throughput.label", {
    completed: words.count(sum(completed)), failed: words.count(sum(failed)), minutes,
  });
  return h("figure", { class: "myia-throughput" },
    h("svg", { viewBox: `0 0 ${minutes * 4} 31`, preserveAspectRatio: "none", role: "img", "aria-label": label },
      h("line", { x1: 0, y1: 30.5, x2: minutes * 4, y2: 30.5, stroke: "currentColor", "stroke-width": 0.5 }),
      completed.map((_, index) => bar(index))),
    h("figcaption", {}, label));
}

function factsView(panel) {
  const { state, words } = panel;
  const { queue } = state;
  const oldest = queue.oldest_waiting_at ? words.duration(panel.now() - queue.oldest_waiting_at) : words.t("none");
  const workers = state.workers.length;
  const facts = [
    ["workers", workers ? words.count(workers) : words.t("workers.none"), workers ? "" : "myia-warn"],
    ["oldest", oldest, ""],
    ["concurrency", queue.concurrency === null ? words.t("unlimited") : words.count(queue.concurrency), ""],
    ["rate", queue.rate_limit === null ? words.t("unlimited")
      : words.t("rate.value", { maximum: words.count(queue.rate_limit.maximum), time: words.duration(queue.rate_limit.duration) }), ""],
  ];
  return h("dl", { class: "myia-facts myia-row" }, facts.map(([name, value, extra]) =>
    h("div", { key: name }, h("dt", {}, words.t(`fact.${name}`)), h("dd", { class: extra }, value))));
}

function headView(panel) {
  const { state, ui, words } = panel;
  const { queue } = state;
  const toggle = queue.is_paused ? "resume" : "pause";
  return h("div", { class: "myia-head" },
    h("h2", {}, words.t("title.monitor"), " ", h("span", { class: "myia-queue" }, queue.name)),
    // The served page has the badge in its own head.
    panel.model.get("mark") && queue.environment ? h("span", { class: "myia-badge" }, queue.environment) : null,
    queue.is_paused ? h("span", { class: "myia-badge myia-warn" }, `❚❚ ${words.t("paused")}`) : null,
    state.is_read_only ? h("span", { class: "myia-badge" }, words.t("read_only")) : null,
    h("span", { class: "myia-spring" }),
    rateView(panel),
    panel.allows(toggle) ? h("button", { type: "button", class: "myia-button", onclick: () => panel.act(toggle) }, words.t(`action.${toggle}`)) : null,
    h("button", {
      type: "button", class: "myia-button", "aria-expanded": String(ui.isQueueOpen), "aria-controls": `${panel.id}-queue`,
      onclick: () => {
        ui.isQueueOpen = !ui.isQueueOpen;
        panel.act("queue_details", { is_open: ui.isQueueOpen });
        panel.repaint();
      },
    }, words.t("queue.settings"), ui.isQueueOpen ? " ▴" : " ▾"));
}

function settingForm(panel, name, fields, values) {
  const { words } = panel;
  return h("form", {
    key: name, class: "myia-setting",
    onsubmit: (event) => {
      event.preventDefault();
      const sent = {};
      for (const field of fields) {
        const raw = event.target.elements[field].value.trim();
        sent[field] = raw === "" ? null : Number(raw);
      }
      panel.act(name, sent);
    },
  },
  fields.map((field) => h("label", { key: field }, words.t(`field.${field}`),
    h("input", { class: "myia-input", name: field, type: "number", min: "1", step: "any", placeholder: words.t("unlimited"),
      value: values[field] === null || values[field] === undefined ? "" : values[field] }))),
  h("button", { type: "submit", class: "myia-button" }, words.t("set")));
}

function workersView(panel) {
  const { state, words } = panel;
  if (!state.workers.length) return h("p", { class: "myia-empty" }, words.t("workers.help"));
  return h("div", { class: "myia-scroll", tabindex: "0", role: "group", "aria-label": words.t("workers") },
    h("table", { class: "myia-table", "aria-label": words.t("workers") },
      h("thead", {}, h("tr", {}, ["name", "state", "address", "running", "since"].map((name) =>
        h("th", { key: name, scope: "col" }, words.t(`worker.${name}`))))),
      h("tbody", {}, state.workers.map((worker) => h("tr", { key: worker.id },
        h("td", {}, worker.name),
        h("td", {}, worker.is_silent ? `▲ ${words.t("worker.silent")}` : `✔ ${words.t("worker.alive")}`),
        h("td", {}, worker.address),
        h("td", {}, worker.running === null ? "–" : words.t("worker.slots", { running: worker.running, slots: words.value(worker.slots) })), h("td", {}, words.date(worker.since)))))));
}

function schedulersView(panel) {
  const { state, words } = panel;
  if (!state.schedulers.length) return null;
  return h("div", {},
    h("h3", {}, words.t("schedulers")),
    h("div", { class: "myia-scroll", tabindex: "0", role: "group", "aria-label": words.t("schedulers") }, h("table", { class: "myia-table", "aria-label": words.t("schedulers") },
      h("thead", {}, h("tr", {}, ["id", "rule", "next", "runs", "actions"].map((name) =>
        h("th", { key: name, scope: "col", class: name === "runs" ? "myia-number" : "" }, words.t(`scheduler.${name}`))))),
      h("tbody", {}, state.schedulers.map((scheduler) => h("tr", { key: scheduler.id },
        h("td", {}, scheduler.id), h("td", {}, scheduler.rule), h("td", {}, words.date(scheduler.next_at)),
        h("td", { class: "myia-number" }, 
          scheduler.limit ? words.t("scheduler.runs.of", { runs: words.value(scheduler.runs || 0), limit: words.value(scheduler.limit) }) : words.value(scheduler.runs)),
        h("td", {}, h("span", { class: "myia-group" }, schedulerButtons(panel, scheduler)))))))),
    panel.ui.schedule ? scheduleForm(panel) : null);
}

function schedulerButtons(panel, scheduler) {
  const { ui, words } = panel;
  const { id } = scheduler;
  const edit = () => {
    ui.schedule = { id, kind: scheduler.pattern ? "pattern" : "seconds", value: String(scheduler.pattern || scheduler.seconds) };
    panel.repaint();
  };
  const buttons = [
    ["run_now", words.t("action.run_now"), () => panel.act("run_now", { id })],
    ["reschedule", words.t("action.reschedule"), edit],
    ["unschedule", words.t("action.remove"), () => panel.act("unschedule", { id })],
  ];
  return buttons.filter(([name]) => panel.allows(name)).map(([name, label, onclick]) => h("button", {
    key: name, type: "button", class: "myia-button myia-small", "aria-label": `${label}: ${id}`, onclick,
  }, label));
}

function scheduleForm(panel) {
  const { ui, words } = panel;
  const { schedule } = ui;
  const close = () => { ui.schedule = null; panel.repaint(); };
  return h("form", {
    key: schedule.id, class: "myia-setting myia-schedule", "aria-label": words.t("scheduler.edit", { name: schedule.id }),
    onsubmit: (event) => {
      event.preventDefault();
      const value = schedule.kind === "seconds" ? Number(schedule.value) : schedule.value;
      panel.act("reschedule", { id: schedule.id, [schedule.kind]: value });
      close();
    },
  },
  h("span", {}, words.t("scheduler.edit", { name: schedule.id })),
  h("label", {}, words.t("scheduler.rule"), h("select", {
    class: "myia-input", value: schedule.kind, onchange: (event) => { schedule.kind = event.target.value; panel.repaint(); },
  }, ["seconds", "pattern"].map((kind) => h("option", { key: kind, value: kind, selected: kind === schedule.kind }, words.t(`scheduler.kind.${kind}`))))),
  h("label", {}, words.t(`scheduler.kind.${schedule.kind}`), h("input", {
    class: "myia-input", required: true, value: schedule.value, oninput: (event) => { schedule.value = event.target.value; },
  })),
  h("button", { type: "submit", class: "myia-button myia-primary" }, words.t("save")),
  h("button", { type: "button", class: "myia-button myia-quiet", onclick: close }, words.t("close")));
}

function queueView(panel) {
  const { state, ui, words } = panel;
  if (!ui.isQueueOpen) return null;
  const button = (name, event, fields) => (panel.allows(name) ? h("button", {
    key: name, type: "button", class: "myia-button", onclick: () => panel.act(event || name, fields || {}),
  }, words.t(`action.${name}`)) : null);
  const limit = state.queue.rate_limit;
  return h("section", { class: "myia-queue-settings", id: `${panel.id}-queue`, "aria-label": words.t("queue.settings") },
    workersView(panel),
    schedulersView(panel),
    h("div", { class: "myia-settings" },
      panel.allows("concurrency") ? settingForm(panel, "concurrency", ["concurrency"], { concurrency: state.queue.concurrency }) : null,
      panel.allows("rate_limit") ? settingForm(panel, "rate_limit", ["maximum", "seconds"],
        { maximum: limit ? limit.maximum : null, seconds: limit ? limit.duration / 1000 : null }) : null),
    h("div", { class: "myia-logbar" }, button("add", "compose", { mode: "add" }), button("retry_all"), button("promote_all"),
      panel.allows("clean") ? h("button", {
        type: "button", class: "myia-button", onclick: () => { ui.clean = { state: "completed", hours: "24", limit: "1000" }; panel.repaint(); },
      }, words.t("action.clean")) : null,
      button("drain"), button("obliterate")),
    ui.clean ? cleanForm(panel) : null,
    serverView(panel));
}

function serverView(panel) {
  const { state, words } = panel;
  const { server } = state;
  if (!server) return null;
  const facts = [
    ["version", [server.version, server.mode, server.os].filter(Boolean).join(" · ")],
    ["started", words.date(server.started_at)],
    ["memory", words.t("server.memory.value", {
      used: words.bytes(server.memory), peak: words.bytes(server.peak), limit: server.limit ? words.bytes(server.limit) : words.t("unlimited"),
    })],
    ["fragmentation", words.value(server.fragmentation)],
    ["clients", words.t("server.clients.value", { connected: words.value(server.clients), blocked: words.value(server.blocked) })],
    ["policy", server.is_evicting ? `▲ ${words.t("server.evicts", { policy: server.policy })}` : server.policy],
    ["disk", server.is_persistence_healthy ? null : `▲ ${words.t("server.disk.bad")}`],
  ];
  return h("section", { "aria-label": words.t("server") },
    h("h3", {}, words.t("server")),
    h("dl", { class: "myia-facts myia-row myia-server" }, facts.filter(([, value]) => value).map(([name, value]) =>
      h("div", { key: name }, h("dt", {}, words.t(`server.${name}`)), h("dd", {}, value)))));
}

function cleanForm(panel) {
  const { ui, words } = panel;
  const states = ["completed", "failed", "waiting", "prioritized", "delayed"];
  return h("form", {
    class: "myia-setting", "aria-label": words.t("title.clean"),
    onsubmit: (event) => {
      event.preventDefault();
      panel.act("clean", { state: ui.clean.state, grace: Number(ui.clean.hours) * 3600, limit: Number(ui.clean.limit) });
    },
  },
  h("label", {}, words.t("clean.state"), h("select", {
    class: "myia-input", value: ui.clean.state, onchange: (event) => { ui.clean.state = event.target.value; },
  }, states.map((name) => h("option", { key: name, value: name, selected: name === ui.clean.state }, words.state(name))))),
  h("label", {}, words.t("clean.grace_hours"), h("input", {
    class: "myia-input", type: "number", min: "0", step: "any", value: ui.clean.hours, required: true,
    oninput: (event) => { ui.clean.hours = event.target.value; },
  })),
  h("label", {}, words.t("clean.limit"), h("input", {
    class: "myia-input", type: "number", min: "0", value: ui.clean.limit, required: true,
    oninput: (event) => { ui.clean.limit = event.target.value; },
  })),
  h("button", { type: "submit", class: "myia-button myia-primary" }, words.t("clean.preview")),
  h("button", { type: "button", class: "myia-button myia-quiet", onclick: () => { ui.clean = null; panel.repaint(); } }, words.t("close")));
}

function dialogView(panel) {
  const { state, ui, words } = panel;
  const { dialog } = state;
  if (!dialog) return null;
  const { facts } = dialog;
  const dismiss = () => panel.act("dismiss");
  const lines = [];
  if ("oldest" in facts && facts.oldest) lines.push(words.t("confirm.oldest", { time: words.date(facts.oldest) }));
  if ("newest" in facts && facts.newest) lines.push(words.t("confirm.newest", { time: words.date(facts.newest) }));
  if (facts.bytes) lines.push(words.t("confirm.bytes", { size: words.bytes(facts.bytes) }));
  if (facts.running) lines.push(words.t("confirm.running", { count: words.count(facts.running) }));
  if (facts.refused) lines.push(words.t("confirm.refused", { count: facts.refused }));
  const id = `${panel.id}-question`;
  return h("dialog", {
    key: dialog.token, class: "myia-dialog", "aria-labelledby": id,
    onmount: (element) => { ui.typed = ""; if (element.isConnected && !element.open) element.showModal(); },
    oncancel: (event) => { event.preventDefault(); dismiss(); },
  },
  h("form", {
    onsubmit: (event) => { event.preventDefault(); panel.act("confirm", { token: dialog.token, typed: ui.typed || "" }); },
  },
  h("h3", { id }, words.t(`confirm.${dialog.action}`, { count: words.count(facts.count || 0), name: facts.name || "", state: facts.state ? words.state(facts.state) : "" })),
  lines.map((line, index) => h("p", { key: index }, line)),
  facts.sample && facts.sample.length ? h("ul", { class: "myia-sample" }, facts.sample.map((item) => h("li", { key: item }, item))) : null,
  dialog.typed ? h("label", {}, words.t("confirm.type", { name: dialog.typed }), h("input", {
    class: "myia-input", autocomplete: "off", value: ui.typed || "",
    oninput: (event) => { ui.typed = event.target.value; panel.repaint(); },
  })) : null,
  h("div", { class: "myia-logbar myia-right" },
    h("button", { type: "button", class: "myia-button", onclick: dismiss }, words.t("dialog.cancel")),
    h("button", {
      type: "submit", class: "myia-button myia-danger", disabled: dialog.typed ? ui.typed !== dialog.typed : facts.count === 0,
    }, words.t(dialog.action === "cancel" ? "dialog.cancel_jobs" : `dialog.${dialog.action}`)))));
}

function noticesView(panel) {
  const { state, words } = panel;
  const { notice, connection } = state;
  const lost = panel.trouble();
  return h("div", { class: "myia-notices", role: "status", "aria-live": "polite" },
    connection.is_up ? null : h("p", { key: "connection", class: "myia-banner myia-error" },
      `✖ ${words.t("away", { time: words.time(connection.since) })} ${connection.message}`),
    offView(panel),
    lost ? h("p", { key: "lost", class: "myia-banner myia-warn" }, `▲ ${lost}`) : null,
    notice ? h("p", { key: `n${notice.id}`, class: `myia-banner myia-${notice.kind}` },
      h("span", {}, { done: "✔ ", error: "✖ ", busy: "… " }[notice.kind] || "", notice.text),
      h("button", { type: "button", class: "myia-button myia-small", onclick: () => panel.act("clear_notice") }, words.t("close"))) : null);
}

function monitorView(panel) {
  return [
    headView(panel),
    noticesView(panel),
    h("div", { class: "myia-summary" }, factsView(panel), throughputView(panel)),
    queueView(panel),
    tabsView(panel),
    h("div", { class: "myia-tools" }, searchView(panel), bulkView(panel)),
    h("div", { class: "myia-main" }, h("div", { class: "myia-list" }, tableView(panel), pagesView(panel)), detailView(panel)),
    jobFormView(panel),
    dialogView(panel),
  ];
}
