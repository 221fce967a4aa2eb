// Words, numbers and times as people read them.

const STATE_ICONS = {
  waiting: "◷", prioritized: "▲", delayed: "◔", active: "▶", completed: "✔",
  failed: "✖", "waiting-children": "⋮", latest: "☰",
};
const OUTCOME_ICONS = { passed: "✔", warned: "▲", failed: "✖", error: "!", skipped: "–" };
const VERDICT_ICONS = { certified: "✔", quality_warning: "▲", failed: "✖" };

class Words {
  constructor(texts, language) {
    this.texts = texts;
    this.language = language;
    this.number = new Intl.NumberFormat(language, { maximumFractionDigits: 4 });
    this.clock = new Intl.DateTimeFormat(language, {
      hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
    });
    this.day = new Intl.DateTimeFormat(language, {
      year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit",
      second: "2-digit", hourCycle: "h23",
    });
  }

  t(key, values) {
    const text = key in this.texts ? this.texts[key] : key;
    return text.replace(/\{(\w+)\}/g, (all, name) =>
      values && name in values ? String(values[name]) : all);
  }

  state(name) { return this.t(`state.${name}`); }

  count(value) { return this.number.format(value); }

  time(ms) { return ms ? this.clock.format(new Date(ms)) : "–"; }

  date(ms) { return ms ? this.day.format(new Date(ms)) : "–"; }

  value(value) {
    if (value === null || value === undefined) return "–";
    return typeof value === "number" ? this.number.format(value) : String(value);
  }

  duration(ms) {
    if (ms === null || ms === undefined || Number.isNaN(ms)) return "–";
    const seconds = Math.max(0, ms) / 1000;
    if (seconds < 1) return `${Math.round(Math.max(0, ms))} ms`;
    if (seconds < 10) return `${this.number.format(Math.round(seconds * 10) / 10)} s`;
    if (seconds < 60) return `${Math.round(seconds)} s`;
    const minutes = Math.floor(seconds / 60);
    if (minutes < 60) return `${minutes} min ${Math.round(seconds % 60)} s`;
    const hours = Math.floor(minutes / 60);
    if (hours < 48) return `${hours} h ${minutes % 60} min`;
    return `${this.number.format(Math.floor(hours / 24))} d ${hours % 24} h`;
  }

  bytes(value) {
    if (value === null || value === undefined) return "–";
    const units = ["B", "kB", "MB", "GB"];
    let unit = 0;
    let size = value;
    while (size >= 1000 && unit < units.length - 1) { size /= 1000; unit += 1; }
    return `${this.number.format(Math.round(size * 10) / 10)} ${units[unit]}`;
  }
}
