"use strict";
// What a card shows of one network in motion: its orbit beside the true one, their power spectra, its fixed points.

const BOX = { width: 268, pad: 6 };
const MARKS = { stable: "●", marginal: "◆", saddle: "×", repeller: "○" };
const percent = share => `${digits(Math.round(1000 * share) / 10)} %`;

/** The words of a command, each as a shell reads it back. */
const command = (...words) =>
  ["lyapsweep", ...words].map(w => /^[\w@%+=:,./-]+$/.test(w) ? w : `'${w.replaceAll("'", "'\\''")}'`).join(" ");

/** Whole levels from the differences between those that are shown; null stays a gap. */
function summed(differences) {
  let level = 0;
  return differences.map(d => d === null ? null : level += d);
}

/** A path through points, broken at gaps; each stretch begins with a dot, so that an orbit at rest is seen. */
function trail(points, dots = false) {
  let drawn = false;
  return points.map(([x, y]) => {
    if (x === null || y === null) { drawn = false; return ""; }
    const at = `${x.toFixed(1)},${y.toFixed(1)}`, fresh = dots || !drawn;
    drawn = true;
    return fresh ? `M${at}h0` : `L${at}`;
  }).join("");
}

class Orbits {
  /** `data` is OrbitData of atlas/page_data.py; positions in it are those of `trials`. */
  constructor(data, trials) {
    Object.assign(this, { data, trials });
    this.any = data.has_orbit.includes("1");
    this.inside = ([, a, b]) => Math.min(a, b) >= 0 && Math.max(a, b) <= data.levels;
  }

  *card(i) {
    const own = this.data.orbits[i], points = this.data.fixed_points[i];
    if (own) yield* this.orbit(i, own, points);
    if (own) yield* this.power(i, own);
    if (points) yield* this.fixedPoints(points);
    yield* this.missing(i, own, points);
  }

  *orbit(i, own, points) {
    const truth = this.data.truths[own.truth], { width, pad } = BOX;
    const height = width * Math.min(1, Math.max(.5, truth.aspect));
    const x = v => v === null ? null : pad + v / this.data.levels * (width - 2 * pad);
    const y = v => v === null ? null : height - pad - v / this.data.levels * (height - 2 * pad);
    const svg = picture(`True and generated orbit of trial ${this.trials.trial[i]}`, "orbit", width, height);
    for (const [kind, curve] of [["true", truth], ["generated", own]]) {
      const [across, up] = [summed(curve.x), summed(curve.y)];
      const d = trail(across.map((v, n) => [x(v), y(up[n])]), truth.dot);
      svg.append(shape("path", { d, class: `${kind}${truth.dot ? " dots" : ""}` }));
      const seen = across.map((v, n) => [v, up[n]]).filter(([v]) => v !== null);
      if (seen.length && reach(seen) < this.data.levels / 100) {  // it is at rest
        svg.append(shape("circle", { cx: x(seen.at(-1)[0]), cy: y(seen.at(-1)[1]), r: 3.5, class: kind }));
      }
    }
    for (const [kind, a, b] of (points?.points ?? []).filter(this.inside)) {
      svg.append(shape("text", { x: x(a), y: y(b), class: "rest", "text-anchor": "middle", dy: ".35em" }, MARKS[kind]));
    }
    yield element("h4", "", "Orbit");
    yield legend();
    yield svg;
    const plane = truth.delay ? `x(t + ${truth.delay} samples) against x(t)`
      : `principal directions 1 and 2 of the true one (${truth.shares.map(percent).join(" and ")} of its variance)`;
    const every = truth.stride > 1 ? `, one in ${truth.stride} drawn` : "";
    const drawn = own.x.filter(v => v !== null).length, all = drawn + own.outside;
    const outside = own.outside ? ` ${own.outside} of ${all} generated points lie outside the frame or are not finite.` : "";
    yield element("p", "small", `True and generated orbit, ${plane}: the first ${truth.samples} samples${every}.${outside}`);
  }

  *power(i, own) {
    const truth = this.data.truths[own.truth], dt = this.trials.data.dt?.[i];
    const [per, unit] = Number.isFinite(dt) ? [dt, "cycles per unit time"] : [1, "cycles per step"];
    const { width, pad } = BOX, height = 150, left = 37, bottom = 30;
    const shown = [...truth.power, ...own.power].filter(v => v !== null);
    if (!shown.length) return;
    const ends = [Math.min(...shown), Math.max(...shown)].map(v => v / 100), span = ends[1] - ends[0] || 1;
    const across = truth.frequency.map(f => Math.log10(f / per)), [low, high] = [across[0], across.at(-1)];
    const x = v => left + (v - low) / (high - low || 1) * (width - left - pad);
    const y = v => pad + (ends[1] - v) / span * (height - pad - bottom);
    const svg = picture(`Power spectra of trial ${this.trials.trial[i]}`, "power", width, height);
    svg.append(shape("path", { d: `M${left},${pad}V${height - bottom}H${width - pad}`, class: "axis" }));
    for (const [v, mark] of tens(low, high)) {
      svg.append(shape("path", { d: `M${x(v).toFixed(1)},${height - bottom}v4`, class: "axis" }));
      svg.append(shape("text", { x: x(v), y: height - bottom + 14, "text-anchor": "middle" }, mark));
    }
    for (const [v, mark] of tens(...ends)) {
      svg.append(shape("path", { d: `M${left},${y(v).toFixed(1)}h-4`, class: "axis" }));
      svg.append(shape("text", { x: left - 6, y: y(v) + 3.5, "text-anchor": "end" }, mark));
    }
    svg.append(shape("text", { x: (left + width) / 2, y: height - 3, "text-anchor": "middle" }, unit));
    for (const [kind, curve] of [["true", truth.power], ["generated", own.power]]) {
      const d = trail(curve.map((v, n) => v === null ? [null, null] : [x(across[n]), y(v / 100)]));
      svg.append(shape("path", { d, class: kind }));
    }
    yield element("h4", "", "Power spectrum");
    yield legend();
    yield svg;
    const score = this.trials.column("measures/power_spectrum");
    const distance = Number.isFinite(score?.values[i]) ? `${score.label} ${digits(score.values[i])}, of the whole held-out series. ` : "";
    const still = own.power.some(v => v !== null) ? "" : " The generated orbit has none: it does not move in a column, or is not finite.";
    const mean = truth.columns > 1 ? `, mean over ${truth.columns} columns` : "";
    yield element("p", "small", `${distance}Share of the power${mean}, smoothed by a Gaussian of ${digits(truth.sigma / per)} ${unit}.${still}`);
  }

  *fixedPoints(found) {
    yield element("h4", "", "Fixed points");
    if (found.error) {
      yield element("p", "small", `They could not be searched here: ${found.error}`);
      return;
    }
    const kinds = Object.entries(found.kinds), slow = found.slow;
    const range = ([low, high]) => digits(low) === digits(high) ? digits(low) : `${digits(low)} to ${digits(high)}`;
    if (kinds.length) {
      yield rowsOf("scores", ["kind", "number", "largest |λ|"],
        kinds.map(([kind, [n, ...ends]]) => [`${MARKS[kind]} ${kind}`, digits(n), range(ends)]));
    }
    const words = [kinds.length ? "" : "None was found", slow ? `${slow} slow ${slow === 1 ? "point" : "points"} besides` : ""];
    const out = found.points.filter(point => !this.inside(point)).length;
    if (out) words.push(`${out} of these lie outside the frame of the orbit`);
    const { visited, real, virtual, none } = found.regions ?? {};
    if (visited) {
      words.push(`Of the ${visited} linear regions that its orbits and these points lie in, ${real} hold the fixed point of `
        + `their own linear map (real), ${virtual} do not (virtual)${none ? `, of ${none} the map has none` : ""}`);
    }
    words.push(`Searched from ${found.started} states${found.driven ? ", inputs held at their mean" : ""}`);
    yield element("p", "small", words.filter(Boolean).map(w => `${w}.`).join(" "));
  }

  /** What is not here, why, and the commands that show it. */
  *missing(i, own, points) {
    const t = this.trials, { experiment, folder, steps } = this.data.files, said = [], count = entries => Object.keys(entries).length;
    const orbit = this.data.has_orbit[i] === "1", network = this.data.has_network[i] === "1";
    if (this.any && !orbit) said.push(`The record of this trial (${t.outcomes[i]}) holds no orbit.`);
    if (orbit && !own) said.push(`Orbits of ${count(this.data.orbits)} of ${t.count} trials are on this page; this one's is not.`);
    if (!network && !points) said.push("Its record holds no network whose fixed points could be searched.");
    if (network && !points) said.push(`Fixed points of ${count(this.data.fixed_points)} of ${t.count} trials are on this page; this one's are not.`);
    const lacking = [own || !this.any ? "" : "orbit", points ? "" : "fixed points"].filter(Boolean).join(" and ");
    if (said.length) yield element("h4", "", lacking[0].toUpperCase() + lacking.slice(1));
    if (said.length) yield element("p", "small lacking", said.join(" "));
    if (experiment && ((orbit && !own) || (network && !points))) {
      yield* codeBlock("A page that shows them:", command("atlas", experiment, "--trial", t.trial[i]), "command");
    }
    if (folder && network && !points) {
      const file = `${folder}/records/${t.trial[i]}-${String(steps[i]).padStart(8, "0")}.npz`;
      yield* codeBlock("Only the fixed points:", command("fixed-points", file), "command");
    }
  }
}

/** How far points reach in the wider direction. */
const reach = points => Math.max(...[0, 1].map(k => {
  const values = points.map(p => p[k]);
  return Math.max(...values) - Math.min(...values);
}));

function picture(words, kind, width, height) {
  const svg = shape("svg", { viewBox: `0 0 ${width} ${height.toFixed(0)}`, class: `motion ${kind}`, role: "img" });
  svg.setAttribute("aria-label", words);
  return svg;
}

const legend = () => element("p", "legend", null, ...["true", "generated"].map(kind =>
  element("span", kind, null, element("i"), kind)));

/** [exponent, words] of the powers of ten between two exponents, at most five; of few also twice and five times them. */
function tens(low, high) {
  const first = Math.ceil(low), count = Math.floor(high) - first + 1, step = Math.max(1, Math.ceil(count / 5));
  const named = power => Math.abs(power) <= 2 ? digits(10 ** power) : `10${superscript(power)}`;
  if (count > 1) return Array.from({ length: Math.ceil(count / step) }, (_, k) => [first + k * step, named(first + k * step)]);
  const finer = [first - 1, first].flatMap(power => [1, 2, 5].map(k => [power + Math.log10(k), digits(k * 10 ** power)]));
  return finer.filter(([at]) => at >= low && at <= high);
}

const superscript = n => String(n).replaceAll("-", "⁻").replace(/\d/g, d => "⁰¹²³⁴⁵⁶⁷⁸⁹"[d]);
