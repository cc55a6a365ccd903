"use strict";
// The card of a place: its trials, and of one of them the configuration, the scores, the spectrum, what explorer_orbits.js draws and how to run it.

const MOST_LISTED = 60;

/** An element with a class, words, and children. All words of a sweep enter the page here, as text. */
function element(name, kind = "", words = null, ...children) {
  const made = document.createElement(name);
  if (kind) made.className = kind;
  if (words !== null) made.textContent = words;
  made.append(...children);
  return made;
}

/** A table of rows of words, the first of each row its head. */
function rowsOf(kind, heads, rows) {
  const table = element("table", kind), body = element("tbody");
  if (heads) table.append(element("thead", "", null, element("tr", "", null, ...heads.map(h => element("th", "", h)))));
  for (const [head, ...cells] of rows) {
    body.append(element("tr", "", null, element("th", "", head), ...cells.map(c => element("td", "n", c))));
  }
  table.append(body);
  return table;
}

class Card {
  /** `pick(trial)` and `close()` are called when the reader asks for them. */
  constructor(trials, pick, close) {
    Object.assign(this, { trials, pick, close, orbits: null });
    this.aside = element("aside", "card");
    this.aside.setAttribute("aria-live", "polite");
    this.aside.setAttribute("aria-label", "Trials of a place");
    this.aside.tabIndex = 0;  // long cards are scrolled, by keyboard too
    this.empty();
  }

  empty() {
    this.aside.classList.remove("kept");
    this.aside.replaceChildren(element("p", "note", "Hover over a place, or click one to keep it here."));
  }

  /** The trials `rows` of a place, called `where`; `chosen` of them in full. */
  show(where, cell, choice, kept, chosen = null) {
    this.aside.classList.toggle("kept", kept);
    const head = element("p", "where");
    head.append(...where.flatMap(([name, value]) => [element("span", "", name), element("b", "", value)]));
    const parts = [head];
    if (kept) {
      const button = element("button", "close", "×");
      button.setAttribute("aria-label", "Release this place");
      button.addEventListener("click", () => this.close());
      parts.unshift(button);
    }
    if (!cell.rows.length) parts.push(element("p", "note", "No trial lies here."));
    else {
      const { by, rows } = this.trials.ranked(cell.rows, choice);
      const shown = rows.includes(chosen) ? chosen : rows[0];
      parts.push(element("p", "sum", this.summary(cell, choice)), this.list(rows, by, shown), ...this.trial(shown));
    }
    this.aside.replaceChildren(...parts);
  }

  summary(cell, choice) {
    const { column, outcomes } = this.trials, counts = {};
    for (const i of cell.rows) counts[outcomes[i]] = (counts[outcomes[i]] ?? 0) + 1;
    const parts = Object.entries(counts).map(([name, n]) => `${n} ${name}`).join(", ");
    const chosen = column(choice.colour), what = chosen?.better && choice.worth === "best" ? "best " : "median ";
    const several = cell.rows.length > 1;
    const value = !chosen ? "" : isCount(chosen) || !several ? digits(cell.value) : `${what}${digits(cell.value)}`;
    const exponents = Number.isNaN(cell.after) && Number.isNaN(cell.before) ? ""
      : ` ${several ? "Median λ₁" : "λ₁"} ${digits(cell.before)} before training, ${digits(cell.after)} after (${this.trials.unit}).`;
    return `${parts}. ${chosen ? `${chosen.label}: ${value}.` : ""}${exponents}`;
  }

  /** A button for each trial of the place, the best first. */
  list(rows, by, shown) {
    const list = element("div", "trials");
    for (const i of rows.slice(0, MOST_LISTED)) {
      const score = this.trials.lost[i] ? this.trials.outcomes[i] : by ? digits(by.values[i]) : this.trials.outcomes[i];
      const button = element("button", "", score);
      button.title = `Trial ${this.trials.trial[i]}, ${this.trials.outcomes[i]}`;
      button.setAttribute("aria-pressed", String(i === shown));
      button.addEventListener("click", () => this.pick(i));
      list.append(button);
    }
    if (rows.length > MOST_LISTED) list.append(`and ${rows.length - MOST_LISTED} more`);
    return list;
  }

  *trial(i) {
    const t = this.trials;
    yield element("h3", "", `Trial ${t.trial[i]}, ${t.outcomes[i]}`);
    yield rowsOf("settings", null, t.settings.map(s => [s.name, t.valueOf(s, i)]).filter(([, value]) => value !== "–"));
    const scores = t.columns.filter(c => c.better && !Number.isNaN(c.values[i]));
    const floor = c => c.floor ? digits(c.floor[i]) : "–";
    if (scores.length) yield rowsOf("scores", ["score", "value", "floor"], scores.map(c => [c.label, digits(c.values[i]), floor(c)]));
    if (t.spectra) yield* this.spectrum(i);
    if (this.orbits) yield* this.orbits.card(i);
    const address = t.run_links[i];
    if (typeof address === "string" && /^https?:/.test(address)) {
      const link = element("a", "run", "Its run in MLflow");
      Object.assign(link, { href: address, target: "_blank", rel: "noopener" });
      yield element("p", "", null, link, ...(t.serve_command ? [element("span", "small", ` while ${t.serve_command} runs`)] : []));
    }
    const command = t.commands[i];
    if (command?.startsWith("lyapsweep run")) yield* codeBlock("Run only this trial:", command, "run-command");
    else if (command) yield* codeBlock("Run only this trial, saved as trial.yaml, with lyapsweep run trial.yaml:", command, "run-command");
  }

  /** Exponents against their index, before training and after it, over zero and the data's own largest. */
  *spectrum(i) {
    const { spectra, data, map, unit } = this.trials, kinds = ["before", "after"];
    const curves = kinds.map(kind => spectra[kind][i].slice(1).map(number));
    const truth = data.lambda_max?.[i], finite = curves.flat().filter(Number.isFinite);
    if (!finite.length) return;
    const [width, height, pad] = [268, 96, 8], most = Math.max(...kinds.map(kind => spectra[kind][i][0]));
    const ends = [...finite, 0, ...(Number.isFinite(truth) ? [truth] : [])];
    const [low, high] = [Math.min(...ends), Math.max(...ends)], span = high - low || 1;
    const y = v => pad + (height - 2 * pad) * (Number.isFinite(v) ? (high - v) / span : v > 0 ? 0 : 1);
    const svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, class: "spark", role: "img" });
    svg.setAttribute("aria-label", `Spectrum of trial ${this.trials.trial[i]}`);
    const level = (v, kind) => svg.append(shape("line", { x1: 0, x2: width, y1: y(v), y2: y(v), class: kind }));
    level(0, "nought");
    if (Number.isFinite(truth)) level(truth, "truth");
    curves.forEach((curve, k) => {
      const step = curve.length > 1 ? (width - 2 * pad) / (curve.length - 1) * spectra[kinds[k]][i][0] / most : 0;
      const points = curve.map((v, n) => `${(pad + n * step).toFixed(1)},${y(v).toFixed(1)}`);
      svg.append(shape("polyline", { points: points.join(" "), class: kinds[k] }));
    });
    yield svg;
    const first = k => curves[k].length ? `${digits(curves[k][0])} ${kinds[k]} training` : "";
    const of = Number.isFinite(truth) ? `; λ_max of the data ${digits(truth)} (dotted)` : "";
    const words = [first(0) && `${first(0)} (dashed)`, first(1)].filter(Boolean).join(", ");
    yield element("p", "small", `${most} exponents, ${map}, in ${unit}: λ₁ ${words}${of}.`);
  }
}

function* codeBlock(words, code, kind) {
  yield element("p", "small", words);
  const block = element("pre", kind, code);
  block.tabIndex = 0;
  block.title = "Click to select all of it";
  yield block;
}
