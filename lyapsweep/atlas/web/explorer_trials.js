"use strict";
// The trials behind the map: which ones pass the filters, which lie in a place, and what a place is worth.

const LOST = ["diverged", "failed"];
const COUNTS = [
  { name: "share lost", label: "share of trials lost", group: "outcome", of: trials => rows => trials.share(rows, LOST) },
  { name: "share diverged", label: "share of trials diverged", group: "outcome", of: trials => rows => trials.share(rows, ["diverged"]) },
  { name: "trials", label: "number of trials", group: "outcome", of: () => rows => rows.length },
];

const isCount = column => COUNTS.includes(column);
const number = v => v === null ? NaN : Number(v);

/** The median as numpy takes it: infinities count, NaN do not. */
function median(values) {
  const known = values.filter(v => !Number.isNaN(v)).sort((a, b) => a - b);
  if (!known.length) return NaN;
  const middle = known.length >> 1;
  if (known.length % 2) return known[middle];
  return known[middle - 1] === known[middle] ? known[middle] : (known[middle - 1] + known[middle]) / 2;
}

class Trials {
  /** `data` is MapData of atlas/page_data.py. */
  constructor({ trial, outcome, settings, columns, spectra, data, commands, run_links, serve_command, map, unit, scale, choice }) {
    Object.assign(this, { trial, outcome, settings, columns, spectra, data, commands, run_links, serve_command, map, unit, scale, choice });
    for (const column of this.columns) {
      column.values = column.values.map(number);
      if (column.floor) column.floor = column.floor.map(number);
    }
    for (const name of Object.keys(this.data)) this.data[name] = this.data[name].map(number);
    this.count = this.trial.length;
    this.outcomes = this.outcome.index.map(i => this.outcome.names[i]);
    this.lost = this.outcomes.map(name => LOST.includes(name));
    this.ended = this.outcomes.map((name, i) => ["finished", "unbounded"].includes(name) || this.lost[i]);
    const axis = name => this.settings.find(s => s.name === name);
    const column = name => this.columns.find(c => c.name === name) ?? COUNTS.find(c => c.name === name);
    [this.setting, this.column] = [axis, column];
    const exponent = `spectra/${this.map}/maximum`;
    this.axes = parallelAxes(this);
    this.lines = { after: column(exponent)?.values, before: column(`${exponent}@0`)?.values };
  }

  share(rows, names) {
    const ended = rows.filter(i => this.ended[i]);
    return ended.length ? ended.filter(i => names.includes(this.outcomes[i])).length / ended.length : NaN;
  }

  /** What a trial had for a setting, in words. */
  valueOf(setting, i) {
    if (setting.index[i] < 0) return "–";
    return setting.exact ? digits(setting.exact[i]) : setting.labels[setting.index[i]];
  }

  /** The trials that pass the filters of a choice. */
  passing(choice) {
    const range = choice.range && this.column(choice.range.name);
    const brushes = [...choice.brushes].map(([name, parts]) => [this.axes.find(a => a.name === name), parts]).filter(([axis]) => axis);
    const among = [...choice.without].map(([name, labels]) => [this.setting(name), labels]).filter(([s]) => s);
    return [...Array(this.count).keys()].filter(i => {
      if (choice.outcomes.has(this.outcomes[i]) || !inBrushes(brushes, i)) return false;
      if (among.some(([s, labels]) => labels.has(s.labels[s.index[i]]))) return false;
      if (!range) return true;
      const value = range.values[i];
      return value >= (choice.range.low ?? -Infinity) && value <= (choice.range.high ?? Infinity);
    });
  }

  /** Panels of places: {panels: [{name, cells: [row of y][column of x] of {rows, value, state, ...}}], ...}. */
  mapped(choice) {
    const rows = this.passing(choice), [x, y] = [this.setting(choice.x), this.setting(choice.y)];
    const split = [choice.panels, choice.and].map(name => this.setting(name)).filter(Boolean);
    const named = i => split.map(s => s.labels[s.index[i]] ?? "–").join(" · ");
    const order = i => split.map(s => s.index[i]);
    const found = new Map();
    let placed = 0;
    for (const i of rows) {
      const [a, b] = [x.index[i], y ? y.index[i] : 0];
      if (a < 0 || b < 0) continue;
      placed++;
      if (!found.has(named(i))) found.set(named(i), { name: named(i), order: order(i), cells: grid(x, y) });
      found.get(named(i)).cells[b][a].rows.push(i);
    }
    const panels = [...found.values()].sort((p, q) => p.order[0] - q.order[0] || p.order[1] - q.order[1]);
    const worth = this.worth(choice);
    for (const panel of panels) {
      for (const cell of panel.cells.flat()) if (cell.rows.length) Object.assign(cell, worth(cell.rows));
      panel.times = this.times(panel.cells.flat().flatMap(cell => cell.rows));
    }
    const cells = panels.flatMap(panel => panel.cells.flat());
    return { panels, shown: placed, left: rows.length - placed, range: this.range(cells, choice), cells };
  }

  /** A function of the trials of a place: its value and state, and the median largest exponents there. */
  worth(choice) {
    const column = this.column(choice.colour), value = isCount(column) ? column.of(this) : rows => this.value(rows, column, choice);
    const middle = name => rows => this.lines[name] ? median(rows.map(i => this.lines[name][i])) : NaN;
    const [before, after] = [middle("before"), rows => middle("after")(rows.filter(i => !this.lost[i]))];
    return rows => {
      const lost = rows.filter(i => this.lost[i]), failed = lost.filter(i => this.outcomes[i] === "failed");
      const worthOf = value(rows), gone = failed.length * 2 > lost.length ? "failed" : "diverged";
      const state = Number.isFinite(worthOf) ? "value" : lost.length ? gone : "none";
      return { value: worthOf, state, lost: lost.length, before: before(rows), after: after(rows) };
    };
  }

  /** The median, lost trials as the worst, or the best of those that finished; of an exponent the median alone. */
  value(rows, column, choice) {
    if (!column) return NaN;
    if (!column.better) {
      const early = column.name.endsWith("@0");
      return median(rows.filter(i => early || !this.lost[i]).map(i => column.values[i]));
    }
    const ended = rows.filter(i => this.ended[i]), worst = -column.better * Infinity;
    if (choice.worth === "median") return median(ended.map(i => this.lost[i] ? worst : column.values[i]));
    const finished = ended.filter(i => this.outcomes[i] === "finished").map(i => column.values[i]).filter(Number.isFinite);
    return finished.length ? Math[column.better > 0 ? "max" : "min"](...finished) : NaN;
  }

  /** The ends of the colour scale. */
  range(cells, choice) {
    const values = cells.filter(cell => cell.state === "value").map(cell => cell.value);
    const low = Math.min(...values), high = Math.max(...values), column = this.column(choice.colour);
    const log = Boolean(column?.log && low > 0 && high > 3 * low);
    return { low, high, log, flip: column?.better < 0 || isCount(column), any: values.length > 0 };
  }

  /** The predictability times of the data of some trials; none where there are many. */
  times(rows) {
    const known = new Set(rows.map(i => this.data.predictability_time?.[i]).filter(Number.isFinite));
    return known.size <= 3 ? [...known] : [];
  }

  /** Trials of a place, the best first: finished before lost, by the colour where it is a score, else by the first score. */
  ranked(rows, choice) {
    const chosen = this.column(choice.colour), by = chosen?.better ? chosen : this.columns.find(c => c.better);
    const key = i => by && Number.isFinite(by.values[i]) ? -by.better * by.values[i] : Infinity;
    const order = (p, q) => p === q ? 0 : p - q;  // of two infinities too
    return { by, rows: [...rows].sort((i, j) => this.lost[i] - this.lost[j] || order(key(i), key(j))) };
  }
}

const grid = (x, y) => Array.from({ length: y ? y.labels.length : 1 },
  () => Array.from({ length: x.labels.length }, () => ({ rows: [], state: "empty", lost: 0 })));

/** A number to three significant digits, as the rest of the page writes it. */
function digits(value) {
  const v = number(value);
  if (Number.isNaN(v)) return "–";
  if (!Number.isFinite(v)) return v > 0 ? "∞" : "−∞";
  const size = Math.abs(v);
  const words = Number.isInteger(v) && size < 1e6 ? String(v)
    : size < 1e-4 || size >= 1e6 ? v.toExponential(2).replace("e+", "e") : String(Number(v.toPrecision(3)));
  return words.replaceAll("-", "−");
}
