"use strict";
// The map itself: a panel is a canvas of coloured places under an SVG of axes, lines and marks.

// The namespace as the browser knows it: the page holds no address at all.
const SVG = new DOMParser().parseFromString("<svg></svg>", "text/html").querySelector("svg").namespaceURI;
const BOTTOM = 46, TOP = 8, RIGHT = 8;

/** An SVG element with attributes, and words in it. */
function shape(name, attributes = {}, words = null) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (words !== null) made.textContent = words;
  return made;
}

/** Where the places of a setting lie on an axis from 0 to 1: their edges, their centres, and any other value. */
function axisOf(setting) {
  const n = setting ? setting.labels.length : 1;
  const even = { edges: Array.from({ length: n + 1 }, (_, i) => i / n), centres: Array.from({ length: n }, (_, i) => (i + .5) / n) };
  if (!setting || setting.scale === "names" || n < 2) return { ...even, ordered: false, at: () => NaN };
  const spaced = setting.scale !== "even", log = setting.scale === "log" || (!spaced && setting.centres[0] > 0);
  const scaled = log ? setting.centres.map(Math.log) : setting.centres;
  const middle = scaled.slice(1).map((v, i) => (v + scaled[i]) / 2);
  const ends = [2 * scaled[0] - middle[0], ...middle, 2 * scaled[n - 1] - middle[n - 2]];
  const unit = v => (v - ends[0]) / (ends[n] - ends[0]);
  const axis = spaced ? { edges: ends.map(unit), centres: scaled.map(unit) } : even;
  const at = value => {  // between the places beside it
    const v = log ? Math.log(value) : value, above = scaled.findIndex(s => s >= v);
    if (!(v >= ends[0] && v <= ends[n])) return NaN;
    const i = above < 0 ? n - 1 : Math.max(1, above);
    return axis.centres[i - 1] + (v - scaled[i - 1]) / (scaled[i] - scaled[i - 1]) * (axis.centres[i] - axis.centres[i - 1]);
  };
  return { ...axis, ordered: true, at };
}

const MOST_TICKS = 14;  // places that are each named on an axis

/** [where, words] along an axis: its places, or round numbers where there are many places. */
function ticksOf(setting, axis) {
  if (!setting) return [];
  const { labels, centres, scale } = setting, n = labels.length;
  if (n <= MOST_TICKS || !axis.ordered || scale === "even") return labels.map((words, i) => [axis.centres[i], words]);
  const round = scale === "log" ? decades(centres[0], centres[n - 1]) : steps(centres[0], centres[n - 1]);
  return round.map(v => [axis.at(v), digits(v)]).filter(([at]) => !Number.isNaN(at));
}

/** Powers of ten between two numbers, or those and twice and five times them where there are few. */
function decades(low, high) {
  const powers = [];
  for (let k = Math.floor(Math.log10(low)); k <= Math.ceil(Math.log10(high)); k++) powers.push(10 ** k);
  const finer = powers.flatMap(v => [v, 2 * v, 5 * v]);
  return Math.log10(high / low) > 3 ? powers : finer;
}

function steps(low, high) {
  const rough = (high - low) / 6, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find(k => k * power >= rough), first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(6)));
}

/** A colour of the scale for a value between its ends. */
function painter(scale, range) {
  const stops = scale.map(c => c.match(/\d+/g).map(Number)), bend = v => range.log ? Math.log(v) : v;
  const span = bend(range.high) - bend(range.low);
  return value => {
    const share = span > 0 ? (bend(value) - bend(range.low)) / span : .5;
    const at = (range.flip ? 1 - share : share) * (stops.length - 1), i = Math.min(stops.length - 2, Math.floor(at));
    const mixed = stops[i].map((c, k) => Math.round(c + (stops[i + 1][k] - c) * (at - i)));
    return `rgb(${mixed.join(",")})`;
  };
}

/** Lines on which a field is zero: lists of points, joined across the squares between four neighbouring places. */
function zeroLines(field, xs, ys) {
  const ends = new Map(), pieces = [];
  const crossing = (a, b, p, q) => {
    const share = Number.isFinite(a / (a - b)) ? a / (a - b) : .5;
    return [p[0] + share * (q[0] - p[0]), p[1] + share * (q[1] - p[1])];
  };
  for (let j = 0; j + 1 < ys.length; j++) for (let i = 0; i + 1 < xs.length; i++) {
    const corners = [[i, j], [i + 1, j], [i + 1, j + 1], [i, j + 1]];
    const values = corners.map(([a, b]) => field[b][a]);
    if (values.some(Number.isNaN)) continue;
    const cuts = [];
    corners.forEach((corner, k) => {
      const next = (k + 1) % 4;
      if ((values[k] < 0) === (values[next] < 0)) return;
      const [p, q] = [corner, corners[next]].map(([a, b]) => [xs[a], ys[b]]);
      const key = [corner, corners[next]].map(String).sort().join(";");  // of the edge, one for both squares beside it
      cuts.push({ key, point: crossing(values[k], values[next], p, q) });
    });
    for (let k = 0; k + 1 < cuts.length; k += 2) pieces.push([cuts[k], cuts[k + 1]]);
  }
  for (const piece of pieces) for (const cut of piece) ends.set(cut.key, [...(ends.get(cut.key) ?? []), piece]);
  const used = new Set();
  const follow = from => {  // from one cut through the pieces beyond it
    const points = [];
    for (let key = from.key, piece; (piece = ends.get(key).find(other => !used.has(other)));) {
      used.add(piece);
      const next = piece.find(cut => cut.key !== key);
      points.push(next.point);
      key = next.key;
    }
    return points;
  };
  const lines = [];
  for (const piece of pieces) {
    if (used.has(piece)) continue;
    const forward = follow(piece[0]), back = follow(piece[0]);  // through the two squares beside its first cut
    lines.push([...back.reverse(), piece[0].point, ...forward]);
  }
  return lines;
}

class Panel {
  /** `select(panel, i, j, kept)` is called with the place that the reader selects: column i of x, row j of y. */
  constructor(panel, map, select) {
    Object.assign(this, { panel, map, select, focus: null });
    this.figure = document.createElement("figure");
    this.title = document.createElement("figcaption");
    this.title.textContent = panel.name;
    this.canvas = document.createElement("canvas");
    this.svg = shape("svg", { tabindex: 0, role: "application" });
    this.svg.setAttribute("aria-label", `Map ${panel.name}: arrow keys move between places, Enter keeps one`);
    this.figure.append(...(panel.name ? [this.title] : []), this.canvas, this.svg);
    this.svg.addEventListener("pointermove", event => this.point(event, false));
    this.svg.addEventListener("click", event => this.point(event, true));
    this.svg.addEventListener("keydown", event => this.key(event));
  }

  /** Draw into `width` pixels. */
  draw(width) {
    const { x, y } = this.map, rows = y.edges.length - 1;
    const longest = Math.max(0, ...this.map.names.yTicks.map(([, words]) => words.length));
    this.start = Math.round(Math.min(26 + 6.4 * Math.max(3, longest), width * .3));
    this.wide = Math.max(80, width - this.start - RIGHT);
    this.title.style.marginLeft = `${this.start}px`;
    this.high = Math.min(Math.max(rows * 30, 46), this.wide * .9);
    const height = this.high + TOP + BOTTOM, ratio = window.devicePixelRatio || 1;
    Object.assign(this.canvas, { width: width * ratio, height: height * ratio });
    Object.assign(this.canvas.style, { width: `${width}px`, height: `${height}px` });
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    Object.assign(this.svg.style, { width: `${width}px`, height: `${height}px` });
    this.px = share => this.start + share * this.wide;
    this.py = share => TOP + (1 - share) * this.high;
    const ink = this.canvas.getContext("2d");
    ink.scale(ratio, ratio);
    this.panel.cells.forEach((row, j) => row.forEach((cell, i) => this.paint(ink, cell, this.box(i, j))));
    this.svg.replaceChildren(...this.frame(), ...this.lines(), this.mark("kept"), this.mark("here"));
  }

  box(i, j) {
    const { x, y } = this.map;
    const [left, right, top, bottom] = [this.px(x.edges[i]), this.px(x.edges[i + 1]), this.py(y.edges[j + 1]), this.py(y.edges[j])];
    return { x: left, y: top, width: right - left, height: bottom - top };
  }

  /** One place: its colour; grey and a cross where it diverged, hatched where it failed, a dot where nothing is known. */
  paint(ink, cell, box) {
    if (cell.state === "empty") return;
    const gap = Math.min(box.width, box.height) > 9 ? .5 : 0, small = Math.min(box.width, box.height);
    const area = [box.x + gap, box.y + gap, box.width - 2 * gap, box.height - 2 * gap];
    const [cx, cy] = [box.x + box.width / 2, box.y + box.height / 2];
    ink.fillStyle = cell.state === "value" ? this.map.paint(cell.value) : cell.state === "diverged" ? "#d4d4d4" : "#fff";
    if (gap) ink.fillRect(...area); else ink.fillRect(Math.floor(box.x), Math.floor(box.y), Math.ceil(box.width + .5), Math.ceil(box.height + .5));
    ink.strokeStyle = small < 14 ? "#888" : "#444";
    ink.lineWidth = 1.1;
    if (cell.state === "diverged" && small > 5) cross(ink, cx, cy, Math.min(6, small * .28));
    if (cell.state === "failed") hatch(ink, area);
    if (cell.state === "none") { ink.fillStyle = "#999"; ink.fillRect(cx - 1.5, cy - 1.5, 3, 3); }
    if (cell.state === "value" && cell.lost && small > 11) {  // some were lost: a cross in the corner
      ink.lineWidth = 3;
      ink.strokeStyle = "#fff";
      cross(ink, box.x + box.width - 6, box.y + 6, 2.5);
      ink.lineWidth = 1.2;
      ink.strokeStyle = "#000";
      cross(ink, box.x + box.width - 6, box.y + 6, 2.5);
    }
  }

  /** The axes with their ticks and names. */
  *frame() {
    const { names } = this.map, [base, right] = [TOP + this.high, this.start + this.wide];
    yield shape("rect", { x: this.start, y: TOP, width: this.wide, height: this.high, class: "frame" });
    let last = -Infinity;
    for (const [share, words] of names.xTicks) {
      const [at, half] = [this.px(share), 3.4 * words.length];
      if (at - half < last + 5) continue;
      last = at + half;
      yield shape("line", { x1: at, x2: at, y1: base, y2: base + 4, class: "frame" });
      yield shape("text", { x: Math.min(at, right + RIGHT - half), y: base + 16, "text-anchor": "middle" }, words);
    }
    last = Infinity;
    const most = Math.floor((this.start - 24) / 6);
    for (const [share, words] of names.yTicks) {
      const at = this.py(share);
      if (at > last - 13) continue;
      last = at;
      yield shape("line", { x1: this.start - 4, x2: this.start, y1: at, y2: at, class: "frame" });
      yield shape("text", { x: this.start - 7, y: at + 4, "text-anchor": "end" }, words.length > most ? `${words.slice(0, most - 1)}…` : words);
    }
    yield shape("text", { x: this.start + this.wide / 2, y: base + 36, "text-anchor": "middle", class: "name" }, names.x);
    const turn = `translate(12 ${TOP + this.high / 2}) rotate(-90)`;
    yield shape("text", { transform: turn, "text-anchor": "middle", class: "name" }, names.y);
  }

  /** lambda_max = 0 before and after training, and the predictability time, over white so that any ground shows them. */
  *lines() {
    const { x, y, lines } = this.map;
    for (const when of ["before", "after"]) {
      if (!lines.has(when) || !x.ordered || !y.ordered) continue;
      const field = this.panel.cells.map(row => row.map(cell => cell.rows.length ? cell[when] : NaN));
      const paths = zeroLines(field, x.centres, y.centres);
      const d = paths.map(line => "M" + line.map(([a, b]) => `${this.px(a).toFixed(1)} ${this.py(b).toFixed(1)}`).join("L")).join("");
      if (!d) continue;
      yield shape("path", { d, class: "under" });
      yield shape("path", { d, class: `zero ${when}` });
    }
    if (!lines.has("time")) return;
    for (const time of this.panel.times) {
      const across = this.map.interval === "x", at = across ? this.px(x.at(time)) : this.py(y.at(time));
      if (!this.map.interval || Number.isNaN(at)) continue;
      const ends = across ? { x1: at, x2: at, y1: TOP, y2: TOP + this.high } : { x1: this.start, x2: this.start + this.wide, y1: at, y2: at };
      yield shape("line", { ...ends, class: "under" });
      yield shape("line", { ...ends, class: "time" });
    }
  }

  mark(kind) {
    this[kind] = shape("rect", { class: kind, visibility: "hidden" });
    return this[kind];
  }

  /** Ring a place, or none: `kind` is "here" or "kept". */
  ring(kind, place) {
    const mark = this[kind];
    mark.setAttribute("visibility", place ? "visible" : "hidden");
    if (place) for (const [key, value] of Object.entries(this.box(...place))) mark.setAttribute(key, value);
  }

  point(event, kept) {
    const area = this.svg.getBoundingClientRect();
    const share = [(event.clientX - area.left - this.start) / this.wide, 1 - (event.clientY - area.top - TOP) / this.high];
    const [i, j] = [this.map.x, this.map.y].map((axis, k) => axis.edges.findIndex(edge => edge > share[k]) - 1);
    if (i >= 0 && j >= 0) this.go(i, j, kept);
  }

  key(event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const [i, j] = this.focus ?? [0, 0], [columns, rows] = [this.panel.cells[0].length, this.panel.cells.length];
    if (moves[event.key]) {
      const [a, b] = this.focus ? moves[event.key] : [0, 0];
      this.go(Math.max(0, Math.min(columns - 1, i + a)), Math.max(0, Math.min(rows - 1, j + b)), false);
    } else if (event.key === "Enter" && this.focus) this.go(i, j, true);
    else return;
    event.preventDefault();
  }

  go(i, j, kept) {
    this.focus = [i, j];
    this.select(this, i, j, kept);
  }
}

function cross(ink, x, y, arm) {
  ink.beginPath();
  ink.moveTo(x - arm, y - arm); ink.lineTo(x + arm, y + arm);
  ink.moveTo(x - arm, y + arm); ink.lineTo(x + arm, y - arm);
  ink.stroke();
}

function hatch(ink, [x, y, width, height]) {
  ink.save();
  ink.beginPath();
  ink.rect(x, y, width, height);
  ink.clip();
  ink.beginPath();
  for (let at = -height; at < width; at += 5) { ink.moveTo(x + at, y + height); ink.lineTo(x + at + height, y); }
  ink.stroke();
  ink.restore();
}
