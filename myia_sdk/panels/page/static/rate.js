// How often a panel is updated; "off" says so, and offers to look once.

const RATE_DEFAULT = 0.5;

// The choice is kept for the tab: cells run again and pages reload.
const rateMemory = {
  key: (state) => `myia-rate:${state.scope}`,
  read(state) {
    try {
      const kept = sessionStorage.getItem(this.key(state));
      return kept === null ? null : Number(kept);
    } catch { return null; }
  },
  write(state, seconds) {
    try {
      if (seconds === RATE_DEFAULT) sessionStorage.removeItem(this.key(state));
      else sessionStorage.setItem(this.key(state), String(seconds));
    } catch { /* Frames without an origin have no storage. */ }
  },
};

function restoreRate(panel) {
  const { state } = panel;
  const kept = rateMemory.read(state);
  if (state.rate === RATE_DEFAULT && kept !== null && state.rates.includes(kept) && kept !== RATE_DEFAULT) {
    panel.act("rate", { seconds: kept });
  }
}

function rateView(panel) {
  const { state, words } = panel;
  const choose = (event) => {
    const seconds = Number(event.target.value);
    rateMemory.write(state, seconds);
    panel.act("rate", { seconds });
  };
  return h("label", { class: "myia-inline" }, h("span", {}, words.t("rate")),
    h("select", { class: "myia-input", value: String(state.rate), onchange: choose },
      state.rates.map((seconds) => h("option", { key: seconds, value: String(seconds), selected: seconds === state.rate },
        seconds ? words.t("rate.seconds", { seconds: words.value(seconds) }) : words.t("rate.off")))));
}

function offView(panel) {
  const { state, words } = panel;
  if (state.as_of === null) return null;
  return h("p", { key: "off", class: "myia-banner myia-busy" },
    h("span", {}, `❚❚ ${words.t("rate.is_off", { time: words.time(state.as_of) })}`),
    h("button", { type: "button", class: "myia-button myia-small", onclick: () => panel.act("refresh") }, words.t("rate.refresh")));
}
