// One job: timeline of its states, checks, log, error, data, options, result, certificate.

function timelineView(panel, detail) {
  const { words } = panel;
  const steps = detail.timeline;
  return h("ol", { class: "myia-timeline", "aria-label": words.t("timeline") },
    steps.map((step, index) => {
      const previous = index ? steps[index - 1].at : null;
      return h("li", { key: step.what, class: step.at > panel.now() ? "myia-future" : "" },
        h("span", { class: "myia-what" }, words.t(`timeline.${step.what}`)),
        h("time", { datetime: new Date(step.at).toISOString(), title: words.date(step.at) }, words.time(step.at)),
        previous === null ? null : h("span", { class: "myia-muted" },
          words.t("timeline.after", { time: words.duration(step.at - previous) })),
        step.note ? h("span", { class: "myia-muted", title: step.note }, step.note) : null);
    }));
}

function relativeView(panel, relative) {
  if (!relative.is_here) return h("code", { key: relative.key, class: "myia-id", title: relative.key }, relative.key);
  return h("button", {
    key: relative.key, type: "button", class: "myia-button myia-small myia-relative", onclick: () => panel.act("open", { id: relative.id }),
  }, relative.id);
}

function familyView(panel, detail) {
  const { words } = panel;
  const { family } = detail;
  if (!family) return null;
  const rows = family.parent ? [["parent", words.t("family.parent"), [family.parent], 1]] : [];
  for (const kind of ["processed", "pending", "failed"]) {
    const { shown, total } = family.children[kind];
    if (total) rows.push([kind, words.t(`family.${kind}`, { count: words.count(total) }), shown, total]);
  }
  return h("div", { role: "group", "aria-label": words.t("family") }, h("dl", { class: "myia-family" }, rows.map(([kind, label, shown, total]) =>
    h("div", { key: kind }, h("dt", {}, label), h("dd", {}, shown.map((one) => relativeView(panel, one)),
      total > shown.length ? h("span", { class: "myia-muted" }, "…") : null)))));
}

function thresholdText(panel, check) {
  if (!check.threshold || check.threshold.passed === null || check.threshold.passed === undefined) return "–";
  const sign = { ">=": "≥", "<=": "≤", "==": "=" }[check.threshold.comparator] || check.threshold.comparator;
  return `${sign} ${panel.words.value(check.threshold.passed)}`;
}

function valueText(panel, check) {
  const { words } = panel;
  const value = words.value(check.value);
  const interval = check.ci_low !== null && check.ci_low !== undefined && check.ci_high !== null && check.ci_high !== undefined
    ? ` [${words.value(check.ci_low)}, ${words.value(check.ci_high)}]` : "";
  return `${value}${check.value !== null && check.unit ? ` ${check.unit}` : ""}${interval}`;
}

function assuranceView(panel, detail) {
  const { words } = panel;
  const { assurance } = detail;
  if (!assurance) return null;
  const share = assurance.coverage === null ? "" : words.t("checks.measured", {
    share: words.count(Math.round(assurance.coverage * 100)), level: words.count(assurance.level),
  });
  return h("div", { class: "myia-assurance" },
    h("ul", { "aria-label": words.t("checks.reasons") },
      assurance.reasons.map((reason, index) => h("li", { key: index }, reason))),
    share ? h("p", { class: "myia-muted" }, share) : null);
}

function checksView(panel, detail) {
  const { words } = panel;
  if (!detail.checks.length) return h("p", { class: "myia-empty" }, words.t("checks.none"));
  return h("div", {}, assuranceView(panel, detail),
    h("div", { class: "myia-scroll", tabindex: "0", role: "group", "aria-label": words.t("checks") },
    h("table", { class: "myia-table", "aria-label": words.t("checks") },
      h("thead", {}, h("tr", {}, ["check", "outcome", "severity", "value", "threshold", "duration", "message"].map((name) =>
        h("th", { key: name, scope: "col", class: { value: "myia-number", duration: "myia-number myia-wide", severity: "myia-wide" }[name] || "" },
          words.t(`check.${name}`))))),
      h("tbody", {}, detail.checks.map((check) => h("tr", { key: check.id },
        h("td", {}, check.title || check.id),
        h("td", { class: "myia-state" }, h("span", {
          class: "myia-icon", "aria-hidden": "true", style: `--c: ${panel.state.colors[`outcome.${check.outcome}`] || ""}`,
        }, OUTCOME_ICONS[check.outcome] || "•"), " ", words.t(`outcome.${check.outcome}`)),
        h("td", { class: "myia-wide" }, check.severity ? words.t(`severity.${check.severity}`) : "–"),
        h("td", { class: "myia-number" }, valueText(panel, check)),
        h("td", {}, thresholdText(panel, check)),
        h("td", { class: "myia-number myia-wide" }, words.duration(check.duration_ms)),
        h("td", { class: "myia-message" }, check.message || "–")))))));
}

// What stands between slashes is a pattern; half a pattern is taken as it stands.
function logMatcher(typed) {
  const pattern = /^\/(.+)\/(i?)$/.exec(typed);
  if (pattern) {
    try {
      const regex = new RegExp(pattern[1], pattern[2]);
      return (line) => regex.test(line);
    } catch { /* It is no pattern yet. */ }
  }
  const needle = typed.toLowerCase();
  return (line) => line.toLowerCase().includes(needle);
}

const LOG_LEVELS = [["bad", /\b(ERROR|CRITICAL|FATAL|Traceback)\b/], ["warn", /\bWARN(ING)?\b/]];

function logLine(number, line) {
  const level = LOG_LEVELS.find(([, pattern]) => pattern.test(line));
  return h("li", { key: number, value: String(number), class: level ? `myia-level-${level[0]}` : null }, line);
}

function logView(panel, detail) {
  const { ui, words } = panel;
  const matches = logMatcher(ui.logFilter);
  const hidden = detail.log.total - detail.log.lines.length;
  const shown = detail.log.lines.map((line, index) => [index + 1 + hidden, line]).filter(([, line]) => matches(line));
  return h("div", {},
    h("div", { class: "myia-logbar" },
      h("input", {
        type: "search", class: "myia-input", value: ui.logFilter, placeholder: words.t("log.filter"),
        "aria-label": words.t("log.filter"), title: words.t("log.filter.help"),
        oninput: (event) => { ui.logFilter = event.target.value; panel.repaint(); },
      }),
      h("label", { class: "myia-inline" }, h("input", {
        type: "checkbox", checked: ui.follow, onchange: (event) => { ui.follow = event.target.checked; panel.repaint(); },
      }), " ", words.t("log.follow")),
      copyButton(panel, "log", () => shown.map(([, line]) => line).join("\n"))),
    hidden > 0 ? h("p", { class: "myia-muted" }, words.t("log.hidden", { count: words.count(hidden) })) : null,
    shown.length
      ? h("ol", { class: "myia-log", tabindex: "0", "aria-label": words.t("log"), "data-follow": String(ui.follow) },
        shown.map(([number, line]) => logLine(number, line)))
      : h("p", { class: "myia-empty" }, words.t(detail.log.lines.length ? "log.nomatch" : "log.none")));
}

function errorView(panel, detail) {
  const { words } = panel;
  return h("div", {},
    h("p", { class: "myia-error" }, detail.error.reason),
    detail.error.category ? h("p", {}, words.t("error.category", { category: detail.error.category })) : null,
    detail.error.stacktrace.map((trace, index) => h("details", { key: index, open: index === detail.error.stacktrace.length - 1 },
      h("summary", {}, words.t("error.attempt", { number: index + 1 })),
      h("pre", { class: "myia-code", tabindex: "0", role: "group", "aria-label": words.t("error.attempt", { number: index + 1 }) }, trace))));
}

function dataView(panel, detail) {
  const { words } = panel;
  const { row } = detail;
  const canEdit = panel.allows("update") && panel.accepts("update", row.state) && detail.is_data_whole;
  return h("div", {}, jsonView(panel, "data", detail.data),
    canEdit ? h("button", {
      type: "button", class: "myia-button", onclick: () => panel.act("compose", { mode: "update", ids: [row.id] }),
    }, words.t("action.update")) : null);
}

function certificateView(panel, detail) {
  const { words } = panel;
  const { certificate, row } = detail;
  if (!certificate) return h("p", { class: "myia-empty" }, words.t("certificate.none"));
  const facts = [
    ["verdict", words.t(`verdict.${row.verdict}`)], ["subject", certificate.subject], ["key", certificate.key],
    ["issued", words.date(certificate.issued_at)], ["expires", words.date(certificate.expires_at)],
  ];
  const checked = certificate.verification;
  return h("div", {},
    h("dl", { class: "myia-facts" }, facts.filter(([, value]) => value).map(([name, value]) =>
      h("div", { key: name }, h("dt", {}, words.t(`certificate.${name}`)), h("dd", {}, value)))),
    h("div", { class: "myia-logbar" },
      h("button", { type: "button", class: "myia-button", onclick: () => panel.act("verify", { ids: [row.id] }) }, words.t("action.verify")),
      h("button", { type: "button", class: "myia-button", onclick: () => panel.act("download", { ids: [row.id] }) }, words.t("action.download"))),
    checked ? h("p", { role: "status", class: checked.is_valid ? "myia-good" : "myia-error" },
      `${checked.is_valid ? "✔" : "✖"} ${checked.text}`) : null);
}

const DETAIL_TABS = {
  checks: checksView,
  log: logView,
  error: errorView,
  data: dataView,
  progress: (panel, detail) => jsonView(panel, "progress", detail.progress),
  options: (panel, detail) => jsonView(panel, "options", detail.options),
  result: (panel, detail) => jsonView(panel, "result", detail.result),
  certificate: certificateView,
  flow: flowView,
};

function detailHead(panel, row) {
  const { words } = panel;
  const actions = ["retry", "promote", "cancel", "rerun", "duplicate", "remove"].filter((name) =>
    panel.allows(name) && panel.accepts(name, row.state));
  const act = (name) => (name === "duplicate"
    ? panel.act("compose", { mode: name, ids: [row.id] }) : panel.act(name, { ids: [row.id] }));
  return h("div", { class: "myia-detail-head" },
    h("h3", {}, dot(panel, row.state), " ", row.name, " ", h("code", { class: "myia-id" }, row.id)),
    h("span", { class: "myia-muted" }, words.state(row.state), row.is_cancelling ? ` · ${words.t("cancelling")}` : ""),
    row.verdict ? verdictView(panel, row) : null,
    h("span", { class: "myia-spring" }),
    h("span", { class: "myia-group" }, actions.map((name) => h("button", {
      key: name, type: "button", class: "myia-button", onclick: () => act(name),
    }, words.t(`action.${name}`)))),
    h("button", { type: "button", class: "myia-button myia-quiet", onclick: () => panel.act("open", { id: "" }) }, words.t("close")));
}

// What the table has no room for on a narrow screen stands here.
function detailFacts(panel, row) {
  const { words } = panel;
  const facts = [
    ["suite", row.suite], ["region", row.region], ["tags", row.tags.split(",").join(", ")], ["batch", row.batch],
    ["attempt", `${row.attempt} / ${row.max_attempts}`], ["priority", row.priority ? words.count(row.priority) : ""], ["worker", row.worker],
  ];
  return h("dl", { class: "myia-facts myia-row myia-small-facts" }, facts.filter(([, value]) => value).map(([name, value]) =>
    h("div", { key: name }, h("dt", {}, words.t(`column.${name}`)), h("dd", {}, value))));
}

function detailTabs(panel, names, chosen) {
  const { ui, words } = panel;
  const choose = (name) => {
    if ((name === "flow") !== (chosen === "flow")) panel.act("flow", { is_open: name === "flow" });
    ui.detailTab = name;
    panel.repaint();
  };
  const onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = names[(names.indexOf(chosen) + step + names.length) % names.length];
    choose(next);
    const target = event.currentTarget.querySelector(`[data-tab="${next}"]`);
    if (target) target.focus();
  };
  return h("div", { class: "myia-tabs", role: "tablist", "aria-label": words.t("detail.tabs"), onkeydown },
    names.map((name) => h("button", {
      key: name, type: "button", role: "tab", class: "myia-tab", "data-tab": name, tabindex: name === chosen ? "0" : "-1",
      "aria-selected": String(name === chosen), "aria-controls": `${panel.id}-detail`, onclick: () => choose(name),
    }, words.t(`detail.${name}`))));
}

function detailView(panel) {
  const { state, ui, words } = panel;
  const { detail } = state;
  if (!detail) return null;
  const { row } = detail;
  const isThere = { error: detail.error, progress: detail.progress, result: detail.result, certificate: detail.certificate, flow: detail.family };
  const names = Object.keys(DETAIL_TABS).filter((name) => !(name in isThere) || isThere[name]);
  const chosen = names.includes(ui.detailTab) ? ui.detailTab : (detail.error ? "error" : "checks");
  return h("section", { class: "myia-detail", "aria-label": words.t("detail.of", { job: row.name }) },
    detailHead(panel, row),
    detailFacts(panel, row),
    row.state === "active" || row.progress !== null
      ? h("p", { class: "myia-step" }, progressView(panel, row), row.step ? h("span", { class: "myia-muted" }, row.step) : null) : null,
    changesView(panel, row),
    familyView(panel, detail),
    h("div", { class: "myia-detail-body" },
      timelineView(panel, detail),
      h("div", { class: "myia-detail-main" },
        detailTabs(panel, names, chosen),
        h("div", { class: "myia-detail-pane", id: `${panel.id}-detail`, role: "tabpanel", "aria-label": words.t(`detail.${chosen}`) },
          h("div", { key: chosen === "flow" ? chosen : `${row.id}.${chosen}` }, DETAIL_TABS[chosen](panel, detail))))));
}
