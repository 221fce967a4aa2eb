// The live table of jobs: tabs by state, search, selection, rows, pages.

const TAB_ORDER = [
  "latest", "active", "waiting", "prioritized", "delayed", "waiting-children",
  "completed", "failed",
];

function dot(panel, state) {
  return h("span", {
    class: "myia-icon", "aria-hidden": "true",
    style: `--c: ${panel.state.colors[state] || "currentColor"}`,
  }, STATE_ICONS[state] || "•");
}

function tabsView(panel) {
  const { state, words } = panel;
  const tabs = TAB_ORDER.filter((name) =>
    name !== "waiting-children" || state.counts[name] || state.tab === name);
  const choose = (name) => panel.act("tab", { tab: name });
  const onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const at = tabs.indexOf(state.tab);
    const next = tabs[(at + step + tabs.length) % tabs.length];
    choose(next);
    const target = event.currentTarget.querySelector(`[data-tab="${next}"]`);
    if (target) target.focus();
  };
  return h("div", { class: "myia-tabs", role: "tablist", "aria-label": words.t("tabs"), onkeydown },
    tabs.map((name) => h("button", {
      key: name, type: "button", role: "tab", class: "myia-tab", "data-tab": name,
      "aria-selected": String(name === state.tab), tabindex: name === state.tab ? "0" : "-1",
      "aria-controls": `${panel.id}-jobs`, onclick: () => choose(name),
    }, dot(panel, name), " ", words.state(name), " ",
    name === "latest" ? null : h("span", { class: "myia-count" }, words.count(state.counts[name] || 0)))));
}

function searchView(panel) {
  const { state, ui, words } = panel;
  const send = () => { ui.searchTimer = null; panel.act("search", { query: ui.query }); };
  // A search can also come from Python, when a batch is watched.
  if (state.query !== ui.seenQuery && !ui.searchTimer) ui.query = ui.seenQuery = state.query;
  return h("form", {
    class: "myia-search", role: "search",
    onsubmit: (event) => { event.preventDefault(); send(); },
  },
  h("input", {
    type: "search", class: "myia-input", value: ui.query, placeholder: words.t("search.hint"),
    "aria-label": words.t("search"), title: words.t("search.help"),
    oninput: (event) => {
      ui.query = event.target.value;
      clearTimeout(ui.searchTimer);
      ui.searchTimer = setTimeout(send, 350);
    },
  }),
  state.query ? h("button", {
    key: "clear", type: "button", class: "myia-button",
    onclick: () => { ui.query = ""; send(); panel.repaint(); },
  }, words.t("search.clear")) : null,
  h("label", { class: "myia-inline" },
    h("span", {}, words.t("order")), " ",
    h("select", {
      class: "myia-input", value: state.newest_first ? "newest" : "oldest",
      onchange: (event) => panel.act("order", { newest_first: event.target.value === "newest" }),
    },
    h("option", { value: "newest", selected: state.newest_first }, words.t("order.newest")),
    h("option", { value: "oldest", selected: !state.newest_first }, words.t("order.oldest")))),
  tabActionsView(panel));
}

const BULK = ["retry", "promote", "cancel", "remove", "rerun", "export"];

function bulkView(panel) {
  const { state, ui, words } = panel;
  const chosen = [...ui.selected].filter((id) => state.rows[id]);
  if (!chosen.length) { ui.change = ""; return null; }
  const ableTo = (name) => chosen.filter((id) => panel.accepts(name, state.rows[id].state));
  const counted = (able) => (able.length && able.length < chosen.length ? ` (${able.length})` : "");
  const changes = Object.keys(CHANGES).filter((name) => panel.allows(name) && ableTo(name).length);
  return h("div", { class: "myia-bulk", role: "group", "aria-label": words.t("bulk") },
    h("strong", {}, words.t("selected", { count: chosen.length })),
    BULK.filter((name) => panel.allows(name)).map((name) => {
      const able = ableTo(name);
      return h("button", {
        key: name, type: "button", class: "myia-button", disabled: !able.length,
        onclick: () => { panel.act(name, { ids: able }); },
      }, words.t(`action.${name}`), counted(able));
    }),
    changes.map((name) => h("button", {
      key: name, type: "button", class: "myia-button", "aria-expanded": String(ui.change === name),
      onclick: () => { ui.change = ui.change === name ? "" : name; panel.repaint(); },
    }, words.t(`action.${name}`), counted(ableTo(name)), ui.change === name ? " ▴" : " ▾")),
    h("button", {
      type: "button", class: "myia-button myia-quiet",
      onclick: () => { ui.selected.clear(); panel.repaint(); },
    }, words.t("selection.clear")),
    changes.includes(ui.change) ? changeForm(panel, ui.change, ableTo(ui.change), 0, () => { ui.change = ""; panel.repaint(); }) : null);
}

// What can be done to all jobs of the chosen state at once.
const TAB_ACTIONS = {
  completed: ["retry_all", "action.retry_completed"],
  failed: ["retry_all", "action.retry_all"],
  delayed: ["promote_all", "action.promote_all"],
  waiting: ["drain", "action.drain"],
};

function tabActionsView(panel) {
  const { state, words } = panel;
  const [name, label] = TAB_ACTIONS[state.tab] || [];
  if (!name || !state.counts[state.tab] || !panel.allows(name)) return null;
  const fields = name === "retry_all" ? { state: state.tab } : {};
  return h("button", { key: label, type: "button", class: "myia-button", onclick: () => panel.act(name, fields) }, words.t(label));
}

function progressView(panel, row) {
  const { words } = panel;
  if (row.progress === null) {
    return row.state === "active"
      ? h("span", { class: "myia-muted" }, words.t("running")) : h("span", { class: "myia-muted" }, "–");
  }
  const percent = Math.round(row.progress);
  return h("span", { class: "myia-progress", title: row.step || "" },
    h("progress", { max: "100", value: percent, "aria-label": words.t("progress.of", { job: row.name }) }),
    h("span", { class: "myia-number" }, `${percent}%`));
}

function verdictView(panel, row) {
  const { words } = panel;
  if (row.verdict) {
    return h("span", { class: "myia-chip", style: `--c: ${panel.state.colors[`verdict.${row.verdict}`] || ""}` },
      h("span", { class: "myia-icon", "aria-hidden": "true" }, VERDICT_ICONS[row.verdict] || "•"), " ",
      words.t(`verdict.${row.verdict}`), row.score === null ? "" : ` ${words.count(row.score)}`,
      row.rating ? ` · ${row.rating}` : "");
  }
  if (row.reason) return h("span", { class: "myia-reason", title: row.reason }, row.reason);
  return h("span", { class: "myia-muted" }, "–");
}

function timeView(panel, row) {
  const { words } = panel;
  const now = panel.now();
  if (row.state === "delayed" && row.due_at) {
    const left = row.due_at - now;
    return left > 0 ? words.t("time.due_in", { time: words.duration(left) }) : words.t("time.due");
  }
  if (row.finished_at) {
    return words.t("time.took", { time: words.duration(row.finished_at - (row.processed_at || row.created_at)) });
  }
  if (row.processed_at && row.state === "active") {
    return words.t("time.runs", { time: words.duration(now - row.processed_at) });
  }
  return words.t("time.waits", { time: words.duration(now - row.created_at) });
}

function rowActions(panel, row) {
  const { words } = panel;
  const names = ["retry", "promote", "cancel"].filter((name) =>
    panel.allows(name) && panel.accepts(name, row.state) && !(name === "retry" && row.state === "completed"));
  return names.map((name) => h("button", {
    key: name, type: "button", class: "myia-button myia-small",
    "aria-label": `${words.t(`action.${name}`)} ${row.name} ${row.id}`,
    disabled: row.is_cancelling && name === "cancel",
    onclick: () => panel.act(name, { ids: [row.id] }),
  }, words.t(`action.${name}`)));
}

function rowView(panel, row) {
  const { state, ui, words } = panel;
  const isOpen = state.detail && state.detail.row.id === row.id;
  const open = () => panel.act("open", { id: isOpen ? "" : row.id });
  return h("tr", { key: row.id, class: isOpen ? "myia-open" : "", "data-job": row.id },
    h("td", { class: "myia-check" }, h("input", {
      type: "checkbox", checked: ui.selected.has(row.id),
      "aria-label": words.t("select.one", { job: `${row.name} ${row.id}` }),
      onchange: (event) => {
        if (event.target.checked) ui.selected.add(row.id); else ui.selected.delete(row.id);
        panel.repaint();
      },
    })),
    h("td", { class: "myia-job" },
      h("button", {
        type: "button", class: "myia-link", "aria-expanded": String(Boolean(isOpen)), onclick: open, title: row.id,
      }, row.name), h("code", { class: "myia-id", title: row.id }, row.id)),
    h("td", { class: "myia-state" }, dot(panel, row.state), " ", words.state(row.state),
      row.is_cancelling ? h("span", { class: "myia-muted" }, ` · ${words.t("cancelling")}`) : null,
      row.progress !== null ? progressView(panel, row) : null),
    h("td", { class: "myia-wide", title: row.suite }, row.suite || "–"),
    h("td", { class: "myia-wider", title: row.region }, row.region || "–"),
    h("td", { class: "myia-number myia-wide" }, `${row.attempt}/${row.max_attempts}`),
    h("td", { class: "myia-number" }, timeView(panel, row)),
    h("td", { class: "myia-wider", title: row.worker }, row.worker || "–"),
    h("td", { class: "myia-verdict" }, verdictView(panel, row)),
    h("td", {}, h("div", { class: "myia-actions" }, rowActions(panel, row))));
}

function emptyText(panel) {
  const { state, words } = panel;
  if (state.query) return words.t("empty.search", { query: state.query });
  if (state.tab === "latest") return words.t("empty.all");
  return words.t("empty.state", { state: words.state(state.tab).toLowerCase() });
}

function tableView(panel) {
  const { state, ui, words } = panel;
  const ids = state.order.filter((id) => state.rows[id]);
  const picked = ids.filter((id) => ui.selected.has(id));
  const heads = [
    ["job", ""], ["state", ""], ["suite", "myia-wide"], ["region", "myia-wider"],
    ["attempt", "myia-number myia-wide"], ["time", "myia-number"], ["worker", "myia-wider"], ["verdict", ""],
  ];
  return h("div", { class: "myia-scroll", id: `${panel.id}-jobs`, role: "tabpanel", tabindex: "0", "aria-label": words.state(state.tab) },
    h("table", { class: "myia-table", "aria-label": words.t("jobs") },
      h("thead", {}, h("tr", {},
        h("th", { class: "myia-check", scope: "col" }, h("input", {
          type: "checkbox", "aria-label": words.t("select.all"), disabled: !ids.length,
          checked: ids.length > 0 && picked.length === ids.length,
          indeterminate: picked.length > 0 && picked.length < ids.length,
          onchange: (event) => {
            ids.forEach((id) => (event.target.checked ? ui.selected.add(id) : ui.selected.delete(id)));
            panel.repaint();
          },
        })),
        heads.map(([name, extra]) => h("th", { key: name, scope: "col", class: extra }, words.t(`column.${name}`))),
        h("th", { scope: "col" }, h("span", { class: "myia-hidden" }, words.t("column.actions"))))),
      h("tbody", {}, ids.map((id) => rowView(panel, state.rows[id])))),
    ids.length ? null : h("p", { class: "myia-empty" }, emptyText(panel)));
}

function pagesView(panel) {
  const { state, words } = panel;
  if (state.tab === "latest" && !state.query) {
    return h("p", { class: "myia-pages myia-muted" }, words.t("latest.note", { count: state.page_size }));
  }
  const go = (page) => panel.act("page", { page });
  const button = (key, page, enabled, sign) => h("button", {
    key, type: "button", class: "myia-button", disabled: !enabled, "aria-label": words.t(`page.${key}`),
    onclick: () => go(page),
  }, sign);
  const first = state.total ? state.page * state.page_size + 1 : 0;
  const last = Math.min(state.total, (state.page + 1) * state.page_size);
  return h("nav", { class: "myia-pages", "aria-label": words.t("pages") },
    button("first", 0, state.page > 0, "«"),
    button("previous", state.page - 1, state.page > 0, "‹"),
    h("span", {}, words.t("page.of", { page: words.count(state.page + 1), pages: words.count(state.pages) })),
    button("next", state.page + 1, state.page + 1 < state.pages, "›"),
    button("last", state.pages - 1, state.page + 1 < state.pages, "»"),
    h("span", { class: "myia-muted" },
      words.t("page.range", { first: words.count(first), last: words.count(last), total: words.count(state.total) })),
    state.is_truncated ? h("span", { class: "myia-muted" }, words.t("search.truncated")) : null);
}
