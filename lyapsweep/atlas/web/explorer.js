"use strict";
// The map explorer: what the reader has chosen, the controls for it, and the address that holds it.

const LINES = {
  before: "λ₁ = 0 before training",
  after: "λ₁ = 0 after training",
  time: "predictability time of the data",
};
const MOST_CHOICES = 16;  // values of a setting that may be ticked one by one
const MARK = "#map?";

class Explorer {
  constructor(slot, data) {
    this.trials = new Trials(data);
    this.slot = slot;
    this.status = element("p", "status");
    this.status.setAttribute("role", "status");
    this.panels = element("div", "panels");
    this.key = element("div", "key");
    this.card = new Card(this.trials, i => this.chosen(i), () => this.release());
    this.choice = this.readAddress() ?? this.first();
    this.parallel = new Parallel(this.trials, brushes => {
      this.choice.brushes = brushes;
      this.choice.kept = this.choice.trial = null;
      this.redraw();
    });
    this.parallel.brushes = this.choice.brushes;
    slot.replaceChildren(this.controls(), this.status, element("div", "map", null,
      element("div", "left", null, this.panels, this.key), this.card.aside), this.parallel.fold);
    if (this.choice.brushes.size) this.parallel.fold.open = true;
    new ResizeObserver(() => this.fit()).observe(this.panels);
    slot.addEventListener("keydown", event => { if (event.key === "Escape") this.release(); });
    addEventListener("hashchange", () => {
      const choice = this.readAddress();
      if (choice) this.take(choice);
    });
    this.redraw(false);
  }

  first() {
    const { only, ...shown } = this.trials.choice;
    const without = new Map(Object.entries(only).map(([name, label]) =>
      [name, new Set(this.trials.setting(name).labels.filter(other => other !== label))]));
    const lines = new Set(Object.keys(LINES).filter(line => this.offers(line)));
    return { and: null, worth: "median", lines, without, outcomes: new Set(), range: null, brushes: new Map(), kept: null, trial: null, ...shown };
  }

  /** Whether there is anything to draw a line of. */
  offers(line) {
    const { lines, data, setting } = this.trials;
    return line === "time" ? Boolean(data.predictability_time && setting("forcing/interval")) : Boolean(lines[line]?.some(Number.isFinite));
  }

  // -- the address, which holds the view

  readAddress() {
    if (!location.hash.startsWith(MARK)) return null;
    const held = new URLSearchParams(location.hash.slice(MARK.length)), choice = this.first();
    const { setting, column } = this.trials;
    const known = (key, find) => { const name = held.get(key); return name && find(name) ? name : null; };
    choice.x = known("x", setting) ?? choice.x;
    choice.y = known("y", setting);
    choice.colour = known("colour", column) ?? choice.colour;
    [choice.panels, choice.and] = [known("panels", setting), known("and", setting)];
    choice.worth = held.get("worth") === "best" ? "best" : "median";
    choice.lines = new Set((held.get("lines") ?? "").split(" ").filter(line => LINES[line]));
    choice.outcomes = new Set(held.getAll("not"));
    choice.without = new Map();
    for (const [name, label] of held.getAll("without").map(pair => JSON.parse(pair))) {
      choice.without.set(name, (choice.without.get(name) ?? new Set()).add(label));
    }
    const [low, high] = ["low", "high"].map(end => held.get(end) === null ? null : Number(held.get(end)));
    if (known("range", column)) choice.range = { name: held.get("range"), low, high };
    choice.brushes = new Map(held.getAll("brush").map(brush => JSON.parse(brush)));
    choice.kept = held.get("place") ? JSON.parse(held.get("place")) : null;
    choice.trial = held.get("trial");
    return choice;
  }

  writeAddress() {
    const { choice } = this, held = new URLSearchParams();
    const single = { x: choice.x, y: choice.y, colour: choice.colour, panels: choice.panels, and: choice.and, worth: choice.worth };
    for (const [key, value] of Object.entries(single)) if (value) held.set(key, value);
    held.set("lines", [...choice.lines].join(" "));
    for (const outcome of choice.outcomes) held.append("not", outcome);
    for (const [name, labels] of choice.without) for (const label of labels) held.append("without", JSON.stringify([name, label]));
    for (const brush of choice.brushes) held.append("brush", JSON.stringify(brush));
    if (choice.range) {
      held.set("range", choice.range.name);
      for (const end of ["low", "high"]) if (choice.range[end] !== null) held.set(end, choice.range[end]);
    }
    if (choice.kept) held.set("place", JSON.stringify(choice.kept));
    if (choice.trial) held.set("trial", choice.trial);
    try {
      history.replaceState(null, "", MARK + held);
    } catch { /* a page inside another may have no address of its own */ }
  }

  // -- the controls

  controls() {
    const { settings, columns } = this.trials, names = settings.map(s => [s.name, s.name]);
    const few = settings.filter(s => s.labels.length <= 12).map(s => [s.name, s.name]), none = ["", "–"];
    const colours = [...columns, ...COUNTS].map(c => [c.name, c.label, c.group]);
    const form = element("form", "controls", null,
      this.select("x", "Across", names), this.select("y", "Up", [none, ...names]),
      this.select("colour", "Colour", colours), this.select("panels", "Panels", [none, ...few]),
      this.select("and", "and", [none, ...few]),
      this.select("worth", "A place shows its", [["median", "median"], ["best", "best trial"]]));
    this.ticks = new Map(Object.keys(LINES).filter(line => this.offers(line)).map(line =>
      [line, this.tick(LINES[line], this.choice.lines.has(line), on => {
        this.choice.lines[on ? "add" : "delete"](line);
        this.redraw();
      })]));
    form.append(element("div", "lines", null, ...this.ticks.values()));
    form.append(this.filters());
    form.addEventListener("submit", event => event.preventDefault());
    this.form = form;
    return form;
  }

  select(key, words, options) {
    const select = element("select"), groups = new Map();
    select.name = key;
    for (const [value, label, group] of options) {
      const option = element("option", "", label);
      option.value = value;
      if (group && !groups.has(group)) {
        groups.set(group, element("optgroup"));
        groups.get(group).label = group;
        select.append(groups.get(group));
      }
      (groups.get(group) ?? select).append(option);
    }
    select.value = this.choice[key] ?? "";
    select.addEventListener("change", () => {
      this.choice[key] = select.value || null;
      this.choice.kept = this.choice.trial = null;
      this.redraw();
    });
    return element("label", "", null, element("span", "", words), select);
  }

  tick(words, on, act) {
    const box = element("input");
    Object.assign(box, { type: "checkbox", checked: on });
    box.addEventListener("change", () => act(box.checked));
    return element("label", "tick", null, box, element("span", "", words));
  }

  /** What is left out: values of settings, outcomes, and a range of any number. */
  filters() {
    const { settings, outcome, columns } = this.trials, groups = element("div", "groups");
    const group = (title, labels, gone) => groups.append(element("fieldset", "", null, element("legend", "", title),
      ...labels.map(label => this.tick(label, !gone().has(label), on => {
        gone()[on ? "delete" : "add"](label);
        this.redraw();
      }))));
    for (const s of settings.filter(s => s.labels.length <= MOST_CHOICES)) {
      group(s.name, s.labels, () => {
        if (!this.choice.without.has(s.name)) this.choice.without.set(s.name, new Set());
        return this.choice.without.get(s.name);
      });
    }
    group("outcome", outcome.names, () => this.choice.outcomes);
    groups.append(this.rangeFilter(columns));
    this.summary = element("summary", "", "Filters");
    return element("details", "filters", null, this.summary, groups);
  }

  rangeFilter(columns) {
    const select = element("select"), ends = ["from", "to"].map(() => element("input"));
    select.append(...[{ name: "", label: "–" }, ...columns].map(c => Object.assign(element("option", "", c.label), { value: c.name })));
    const held = this.choice.range;
    select.value = held?.name ?? "";
    ends.forEach((input, k) => Object.assign(input, { type: "text", inputMode: "decimal", value: (k ? held?.high : held?.low) ?? "" }));
    const act = () => {
      const [low, high] = ends.map(input => input.value.trim() === "" || Number.isNaN(Number(input.value)) ? null : Number(input.value));
      this.choice.range = select.value ? { name: select.value, low, high } : null;
      this.redraw();
    };
    for (const control of [select, ...ends]) control.addEventListener("change", act);
    const [from, to] = ends.map((input, k) => element("label", "end", null, element("span", "", k ? "to" : "from"), input));
    select.setAttribute("aria-label", "Number whose range is kept");
    return element("fieldset", "range", null, element("legend", "", "range of"), select, from, to);
  }

  // -- drawing

  take(choice) {
    this.choice = choice;
    this.form.replaceWith(this.controls());
    this.redraw(false);
  }

  redraw(chosen = true) {
    const { choice, trials } = this, [x, y] = [trials.setting(choice.x), trials.setting(choice.y)];
    this.mapped = trials.mapped(choice);
    const { panels, range } = this.mapped;
    const [across, up] = [axisOf(x), axisOf(y)];
    const map = {
      x: across, y: up, paint: painter(trials.scale, range), lines: choice.lines,
      interval: choice.x === "forcing/interval" ? "x" : choice.y === "forcing/interval" ? "y" : null,
      names: { x: x.name, y: y?.name ?? "", xTicks: ticksOf(x, across), yTicks: ticksOf(y, up) },
    };
    for (const [line, tick] of this.ticks) tick.hidden = line === "time" ? !map.interval : !(across.ordered && up.ordered);
    this.drawn = panels.map(panel => new Panel(panel, map, (...where) => this.at(...where)));
    this.panels.replaceChildren(...this.drawn.map(panel => panel.figure));
    this.fit();
    this.showStatus();
    this.showKey(range);
    this.showKept();
    if (chosen) this.writeAddress();
  }

  /** As many panels beside each other as can be read. */
  fit() {
    const width = this.panels.clientWidth, most = Math.max(1, Math.floor(width / 230));
    if (!width || !this.drawn) return;
    const beside = Math.min(most, this.drawn.length || 1), each = Math.floor((width - 10 * (beside - 1)) / beside);
    this.panels.style.gridTemplateColumns = `repeat(${beside}, ${each}px)`;
    for (const panel of this.drawn) panel.draw(Math.min(each, 680));
    this.showKept(false);
  }

  /** Show how many trials are drawn, and a warning where places mix data sets. */
  showStatus() {
    const { trials, choice, mapped } = this, left = trials.count - mapped.shown - mapped.left;
    const parts = [`${mapped.shown} of ${trials.count} trials`];
    if (left) parts.push(`${left} filtered out`);
    if (mapped.left) parts.push(`${mapped.left} without a value of ${choice.y ? `${choice.x} or ${choice.y}` : choice.x}`);
    const hidden = trials.settings.filter(s => ["dataset/kind", "dataset/system"].includes(s.name));
    for (const s of hidden.filter(s => ![choice.x, choice.y, choice.panels, choice.and].includes(s.name))) {
      const here = new Set(mapped.cells.flatMap(cell => cell.rows).map(i => s.index[i]));
      if (here.size > 1) parts.push(`places mix ${here.size} sets of data: filter by ${s.name}, or give each a panel`);
    }
    this.status.textContent = mapped.shown ? `${parts.join("; ")}.` : "No trial passes the filters.";
    this.summary.textContent = `Filters: ${this.kept().join("; ") || "none"}`;
  }

  /** What the filters let pass, in words. */
  kept() {
    const { choice, trials } = this, words = [];
    const among = (name, labels, gone) => {
      if (gone?.size) words.push(`${name} ${labels.filter(label => !gone.has(label)).join(", ") || "(nothing)"}`);
    };
    for (const s of trials.settings) among(s.name, s.labels, choice.without.get(s.name));
    among("outcome", trials.outcome.names, choice.outcomes);
    const { name, low, high } = choice.range ?? {};
    for (const axis of trials.axes) if (choice.brushes.has(axis.name)) words.push(`${axis.label} brushed`);
    if (name) words.push(`${trials.column(name).label} ${low ?? "−∞"} to ${high ?? "∞"}`);
    return words;
  }

  /** What colours and marks mean. */
  showKey(range) {
    const chosen = this.trials.column(this.choice.colour), parts = [];
    if (range.any && chosen) {
      const bar = element("span", "bar"), ends = range.flip ? [range.high, range.low] : [range.low, range.high];
      bar.style.background = `linear-gradient(to right, ${this.trials.scale.join(",")})`;
      const middle = range.log ? Math.sqrt(range.low * range.high) : (range.low + range.high) / 2;
      parts.push(element("span", "scale", null, element("span", "", digits(ends[0])), bar, element("span", "", digits(ends[1])),
        element("em", "", `${chosen.label}${range.log ? `, logarithmic, ${digits(middle)} in the middle` : ""}${chosen.better ? ", lighter is better" : ""}`)));
    }
    const states = new Set(this.mapped.cells.map(cell => cell.state));
    const words = { diverged: "half or more diverged", failed: "half or more failed", none: "no value", empty: "no trial" };
    for (const state of Object.keys(words)) if (states.has(state)) parts.push(sample(state, words[state]));
    if (this.mapped.cells.some(cell => cell.state === "value" && cell.lost)) parts.push(sample("some", "some lost"));
    for (const line of Object.keys(LINES)) if (this.panels.querySelector(`svg .${line}`)) parts.push(sample(line, LINES[line]));
    this.key.replaceChildren(...parts);
  }

  // -- places

  /** Called when the reader points at a place of a panel, or clicks it (`kept`). */
  at(panel, i, j, kept) {
    const { choice } = this;
    if (kept) {
      const place = [panel.panel.name, i, j];
      choice.trial = null;
      choice.kept = String(choice.kept) === String(place) ? null : place;
    }
    for (const other of this.drawn) other.ring("here", other === panel ? [i, j] : null);
    if (!choice.kept) this.open(panel, i, j, false);
    if (!kept) return;
    this.showKept();
    this.writeAddress();
  }

  /** Mark the kept place, and open its card. */
  showKept(open = true) {
    const [name, i, j] = this.choice.kept ?? [], panel = this.drawn.find(p => p.panel.name === name);
    const there = Boolean(panel?.panel.cells[j]?.[i]);
    for (const other of this.drawn) other.ring("kept", there && other === panel ? [i, j] : null);
    if (!open) return;
    if (there) this.open(panel, i, j, true);
    else this.card.empty();
  }

  open(panel, i, j, kept) {
    const { name, cells } = panel.panel, [x, y] = [this.choice.x, this.choice.y].map(n => this.trials.setting(n));
    const where = [...(name ? [["panel", name]] : []), [x.name, x.labels[i]], ...(y ? [[y.name, y.labels[j]]] : [])];
    const chosen = this.trials.trial.indexOf(this.choice.trial);
    this.card.show(where, cells[j][i], this.choice, kept, kept ? chosen : null);
  }

  chosen(i) {
    this.choice.trial = this.trials.trial[i];
    this.showKept();
    this.writeAddress();
  }

  /** Orbits are unpacked after the map was drawn. */
  addOrbits(data) {
    this.card.orbits = new Orbits(data, this.trials);
    if (this.choice.kept) this.showKept();
  }

  release() {
    this.choice.kept = this.choice.trial = null;
    this.showKept();
    this.writeAddress();
  }
}

/** A mark of the map and what it says. */
const sample = (mark, words) => element("span", "sample", null, element("i", mark), words);

if (!OLD) {
  for (const slot of document.querySelectorAll(".explorer")) {
    const orbits = packed("orbits", slot);
    unpack(packed("trials", slot)).then(text => {
      const sent = location.hash.startsWith(MARK);
      window.explorer = new Explorer(slot, JSON.parse(text));
      if (sent) slot.scrollIntoView();
      return orbits && unpack(orbits).then(text => window.explorer.addOrbits(JSON.parse(text)));
    });
  }
}
