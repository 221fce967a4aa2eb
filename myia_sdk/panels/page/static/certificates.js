// Certificates: a matrix of models and regions, one certificate, two compared.

function certificateState(panel, cell) {
  if (cell.is_revoked) return "revoked";
  if (cell.expires_at && cell.expires_at <= panel.now()) return "expired";
  return cell.verdict;
}

function cellView(panel, cell) {
  const { state, ui, words } = panel;
  if (!cell) return h("span", { class: "myia-muted" }, "–");
  const age = words.duration(panel.now() - cell.issued_at);
  const left = cell.expires_at ? cell.expires_at - panel.now() : null;
  const standing = certificateState(panel, cell);
  const expiry = cell.is_revoked ? words.t("certificate.revoked") : left === null ? "" : left > 0
    ? words.t("certificate.expires_in", { time: words.duration(left) }) : words.t("certificate.expired");
  const isOpen = state.chosen && state.chosen.job_id === cell.job_id;
  return h("div", { class: "myia-cell" },
    h("input", {
      type: "checkbox", checked: ui.compared.includes(cell.job_id),
      "aria-label": words.t("compare.pick", { model: cell.model, region: cell.region }),
      onchange: (event) => {
        ui.compared = ui.compared.filter((id) => id !== cell.job_id);
        if (event.target.checked) ui.compared = [...ui.compared, cell.job_id].slice(-2);
        panel.repaint();
      },
    }),
    h("button", {
      type: "button", class: "myia-link", "aria-expanded": String(Boolean(isOpen)),
      onclick: () => panel.act("open", { id: isOpen ? "" : cell.job_id }),
    },
    h("span", { class: "myia-icon", "aria-hidden": "true", style: `--c: ${state.colors[`verdict.${cell.verdict}`] || ""}` },
      standing === cell.verdict ? VERDICT_ICONS[cell.verdict] || "•" : "⊘"), " ",
    words.t(`verdict.${cell.verdict}`), cell.score === null ? "" : ` ${words.count(cell.score)}`,
    cell.rating ? ` · ${cell.rating}` : ""),
    h("span", { class: "myia-muted" }, words.t("certificate.age", { time: age }), expiry ? ` · ${expiry}` : ""));
}

function matrixView(panel) {
  const { state, words } = panel;
  if (!state.models.length) return h("p", { class: "myia-empty" }, words.t(state.query ? "certificates.nomatch" : "certificates.none"));
  return h("div", { class: "myia-scroll", tabindex: "0", role: "group", "aria-label": words.t("title.certificates") },
    h("table", { class: "myia-table myia-matrix", "aria-label": words.t("title.certificates") },
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, words.t("column.model")),
        state.regions.map((region) => h("th", { key: region, scope: "col" }, region || words.t("region.none"))))),
      h("tbody", {}, state.models.map((model) => h("tr", { key: model },
        h("th", { scope: "row" }, model),
        state.regions.map((region) => h("td", { key: region }, cellView(panel, state.cells[JSON.stringify([model, region])]))))))));
}

function chosenView(panel) {
  const { state, words } = panel;
  const { chosen } = state;
  if (!chosen) return null;
  const cell = state.cells[JSON.stringify([chosen.model, chosen.region])] || chosen;
  const facts = [
    ["verdict", words.t(`verdict.${cell.verdict}`)], ["subject", chosen.subject], ["key", chosen.key],
    ["suite", chosen.suite], ["issued", words.date(cell.issued_at)], ["expires", words.date(cell.expires_at)],
  ];
  return h("section", { class: "myia-detail", "aria-label": words.t("certificate.of", { model: chosen.model }) },
    h("div", { class: "myia-detail-head" },
      h("h3", {}, chosen.model, chosen.region ? ` · ${chosen.region}` : "", " ", h("code", { class: "myia-id" }, chosen.job_id)),
      h("span", { class: "myia-spring" }),
      h("button", { type: "button", class: "myia-button", onclick: () => panel.act("verify", { ids: [chosen.job_id] }) }, words.t("action.verify")),
      h("button", { type: "button", class: "myia-button", onclick: () => panel.act("download", { ids: [chosen.job_id] }) }, words.t("action.download")),
      panel.allows("rerun") ? h("button", { type: "button", class: "myia-button", onclick: () => panel.act("rerun", { ids: [chosen.job_id] }) }, words.t("action.recertify")) : null,
      h("button", { type: "button", class: "myia-button myia-quiet", onclick: () => panel.act("open", { id: "" }) }, words.t("close"))),
    h("dl", { class: "myia-facts" }, facts.filter(([, value]) => value).map(([name, value]) =>
      h("div", { key: name }, h("dt", {}, words.t(`certificate.${name}`)), h("dd", {}, value)))),
    chosen.verification ? h("p", { role: "status", class: chosen.verification.is_valid ? "myia-good" : "myia-error" },
      `${chosen.verification.is_valid ? "✔" : "✖"} ${chosen.verification.text}`) : null);
}

function comparisonView(panel) {
  const { state, words } = panel;
  const { comparison } = state;
  if (!comparison) return null;
  const mark = { improved: "▲", worsened: "▼", same: "=" };
  return h("section", { class: "myia-detail", "aria-label": words.t("compare.title") },
    h("div", { class: "myia-detail-head" }, h("h3", {}, words.t("compare.title")), h("span", { class: "myia-spring" }),
      h("button", { type: "button", class: "myia-button myia-quiet", onclick: () => panel.act("compare", { ids: [] }) }, words.t("close"))),
    comparison.text ? h("p", {}, comparison.text) : null,
    h("div", { class: "myia-scroll", tabindex: "0", role: "group", "aria-label": words.t("compare.title") },
      h("table", { class: "myia-table", "aria-label": words.t("compare.title") },
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, words.t("check.check")), h("th", { scope: "col" }, comparison.first),
          h("th", { scope: "col" }, comparison.second), h("th", { scope: "col" }, words.t("compare.change")))),
        h("tbody", {}, comparison.rows.map((row) => h("tr", { key: row.check },
          h("td", {}, row.check), h("td", {}, row.first), h("td", {}, row.second),
          h("td", {}, `${mark[row.change] || ""} ${words.t(`compare.${row.change}`)}`)))))));
}

function certificatesView(panel) {
  const { state, ui, words } = panel;
  const pair = ui.compared;
  return [
    h("div", { class: "myia-head" }, h("h2", {}, words.t("title.certificates")), h("span", { class: "myia-spring" }),
      rateView(panel),
      h("button", { type: "button", class: "myia-button", disabled: pair.length !== 2, onclick: () => panel.act("compare", { ids: pair }) }, words.t("compare"))),
    noticesView(panel),
    h("form", { class: "myia-search", role: "search", onsubmit: (event) => event.preventDefault() }, h("input", {
      type: "search", class: "myia-input", value: ui.query, placeholder: words.t("certificates.filter"), "aria-label": words.t("certificates.filter"),
      oninput: (event) => {
        ui.query = event.target.value;
        clearTimeout(ui.searchTimer);
        ui.searchTimer = setTimeout(() => panel.act("search", { query: ui.query }), 250);
      },
    })),
    matrixView(panel),
    chosenView(panel),
    comparisonView(panel),
    dialogView(panel),
  ];
}
