// One job by hand: the form to add, duplicate or edit it, and changes of delay and priority.

const CHECK_MS = 400;

// Texts live in the browser while they are typed; Python only tells what is wrong with them.
function typedJob(panel, form) {
  const { ui } = panel;
  if (!ui.job || ui.job.id !== form.id) {
    ui.job = { id: form.id, name: form.name, data: form.data, options: form.options, touched: new Set() };
  }
  return ui.job;
}

function jobTexts({ name, data, options }) { return { name, data, options }; }

function jobField(panel, name, makeControl, help) {
  const { words, state, ui } = panel;
  const typed = ui.job;
  const id = `${panel.id}-job-${name}`;
  const error = typed.touched.has(name) ? state.form.errors[name] : "";
  const control = makeControl({
    id, name, class: "myia-input myia-code-input", value: typed[name], spellcheck: "false", autocomplete: "off",
    "aria-invalid": error ? "true" : "false", "aria-describedby": `${id}-note`,
    oninput: (event) => {
      typed[name] = event.target.value;
      typed.touched.add(name);
      clearTimeout(ui.checkTimer);
      ui.checkTimer = setTimeout(() => { if (panel.state.form) panel.act("check_job", jobTexts(typed)); }, CHECK_MS);
    },
  });
  return h("div", { key: name, class: "myia-field" },
    h("label", { for: id }, words.t(`form.${name}`)),
    control,
    h("p", { id: `${id}-note`, role: error ? "alert" : null, class: error ? "myia-field-error" : "myia-muted" },
      error ? `✖ ${error}` : help));
}

function jobFormView(panel) {
  const { state, ui, words } = panel;
  const { form } = state;
  if (!form) { ui.job = null; return null; }
  const typed = typedJob(panel, form);
  const close = () => { clearTimeout(ui.checkTimer); panel.act("close_form"); };
  const title = `${panel.id}-job-title`;
  const onlyData = form.mode === "update";
  const area = (rows, extra) => (props) => h("textarea", { ...props, rows: String(rows), ...extra });
  return h("dialog", {
    key: `form${form.id}`, class: "myia-dialog myia-job-form", "aria-labelledby": title,
    onmount: (element) => { if (element.isConnected && !element.open) element.showModal(); },
    oncancel: (event) => { event.preventDefault(); close(); },
  },
  h("form", {
    onsubmit: (event) => {
      event.preventDefault();
      clearTimeout(ui.checkTimer);
      ["name", "data", "options"].forEach((name) => typed.touched.add(name));
      panel.act(form.mode, { ...jobTexts(typed), ids: form.source ? [form.source] : [] });
    },
  },
  h("h3", { id: title }, words.t(`form.${form.mode}`, { id: form.source })),
  onlyData ? null : jobField(panel, "name", (props) => h("input", { ...props, type: "text", required: true, maxlength: "200" }), words.t("form.name.help")),
  jobField(panel, "data", area(onlyData ? 14 : 9, { readonly: !form.is_data_whole }), form.is_data_whole ? "" : words.t("form.data.hidden")),
  onlyData ? null : jobField(panel, "options", area(6), words.t("form.options.help")),
  h("div", { class: "myia-logbar myia-right" },
    h("button", { type: "button", class: "myia-button", onclick: close }, words.t("dialog.cancel")),
    h("button", { type: "submit", class: "myia-button myia-primary", disabled: onlyData && !form.is_data_whole },
      words.t(`form.submit.${form.mode}`)))));
}

// What can be changed of jobs that wait: the event, its field, and the value now.
const CHANGES = {
  change_priority: { field: "priority", label: "field.priority", max: 2097151, step: "1" },
  change_delay: { field: "seconds", label: "field.due", max: 315360000, step: "any" },
};

function changeForm(panel, name, ids, value, onsent) {
  const { words } = panel;
  const { field, label, max, step } = CHANGES[name];
  return h("form", {
    key: name, class: "myia-setting", "aria-label": words.t(`action.${name}`),
    onsubmit: (event) => {
      event.preventDefault();
      panel.act(name, { ids, [field]: Number(event.target.elements[field].value) });
      if (onsent) onsent();
    },
  },
  h("label", {}, words.t(label), h("input", {
    class: "myia-input", type: "number", name: field, min: "0", max: String(max), step, required: true,
    onmount: (element) => { element.value = value; },
  })),
  h("button", { type: "submit", class: "myia-button" }, words.t(`action.${name}`)));
}

function changesView(panel, row) {
  const left = row.due_at ? Math.max(0, Math.round((row.due_at - panel.now()) / 1000)) : 0;
  const values = { change_priority: row.priority, change_delay: left };
  const names = Object.keys(CHANGES).filter((name) => panel.allows(name) && panel.accepts(name, row.state));
  if (!names.length) return null;
  return h("div", { key: `changes-${row.id}`, class: "myia-settings" }, names.map((name) => changeForm(panel, name, [row.id], values[name])));
}
