"use strict";
// Parallel coordinates of all trials, one line per trial; brushing an axis filters the map.

const MOST_SCORES = 3, AXIS_WIDTH = 120;

/** The axes: every setting, the first scores, the largest exponent; each with a value per trial. */
function parallelAxes(trials) {
  const axes = trials.settings.map(s => settingAxis(s));
  const exponent = trials.column(`spectra/${trials.map}/maximum`);
  for (const column of [...trials.columns.filter(c => c.better).slice(0, MOST_SCORES), exponent].filter(Boolean)) {
    axes.push(columnAxis(column, trials));
  }
  return axes.filter(axis => new Set(axis.values.filter(Number.isFinite)).size > 1);
}

/** A setting to scale where its places are, else its places one beside the other. */
function settingAxis(setting) {
  const log = setting.scale === "log", spaced = log || setting.scale === "linear";
  const place = v => log ? Math.log10(v) : v;
  if (!spaced) {
    const places = [...setting.labels.keys()];
    return { name: setting.name, label: setting.name, values: setting.index.map(i => i < 0 ? NaN : i), tickvals: places, ticktext: setting.labels };
  }
  const values = setting.index.map((p, i) => p < 0 ? NaN : place(setting.exact ? number(setting.exact[i]) : setting.centres[p]));
  const few = setting.labels.length <= 12;
  const ticks = few ? { tickvals: setting.centres.map(place), ticktext: setting.labels } : scaleTicks(values, log);
  return { name: setting.name, label: setting.name, values, ...ticks };
}

/** A number of each trial; what is not finite, as of lost trials, stands beyond the worst value. */
function columnAxis(column, trials) {
  const known = column.values.filter((v, i) => Number.isFinite(v) && !trials.lost[i]);
  const log = column.log && Math.min(...known) > 0, place = v => log ? Math.log10(v) : v;
  const placed = known.map(place), low = Math.min(...placed), high = Math.max(...placed), gap = (high - low || 1) * 0.08;
  const worst = column.better > 0 ? low - gap : high + gap;
  const values = column.values.map((v, i) => Number.isFinite(v) && !trials.lost[i] ? place(v) : worst);
  return { name: column.name, label: column.label, values, ...scaleTicks(placed, log) };
}

/** Round values along an axis, those of a logarithmic one in powers of ten. */
function scaleTicks(values, log) {
  const finite = values.filter(Number.isFinite), low = Math.min(...finite), high = Math.max(...finite);
  const tickvals = low < high ? Array.from({ length: 5 }, (_, k) => low + (high - low) * k / 4) : [low];
  return { tickvals, ticktext: tickvals.map(v => digits(log ? 10 ** v : v)) };
}

/** Whether a trial lies in the brushed parts of every axis. */
const inBrushes = (brushes, i) => brushes.every(([axis, parts]) => parts.some(([low, high]) => axis.values[i] >= low && axis.values[i] <= high));

class Parallel {
  /** `changed` is called with the brushes, a map from the name of an axis to its parts. */
  constructor(trials, changed) {
    Object.assign(this, { trials, changed });
    this.chart = element("div", "lines-of-trials");
    this.chart.style.minWidth = `${AXIS_WIDTH * trials.axes.length}px`;
    const about = element("p", "small", "One line per trial, lighter is better; lost trials stand beyond the worst score. Drag along an axis to filter the map, click beside the selection to release it; drag a name to move its axis.");
    this.fold = element("details", "parallel", null, element("summary", "", "Parallel coordinates"), about, element("div", "scroll", null, this.chart));
    this.fold.addEventListener("toggle", () => { if (this.fold.open) this.draw(); });
  }

  async draw() {
    if (this.drawn) return;
    this.drawn = true;
    const Plotly = await drawing(), { axes, columns, scale } = this.trials, main = columns.find(c => c.better);
    const colour = main && axes.find(axis => axis.name === main.name);
    const dimensions = axes.map(({ label, values, tickvals, ticktext, name }) => {
      const held = this.brushes?.get(name), finite = values.filter(Number.isFinite), low = Math.min(...finite);
      const filled = values.map(v => Number.isFinite(v) ? v : low);
      return { label, values: filled, tickvals, ticktext, ...(held ? { constraintrange: held } : {}) };
    });
    const line = colour ? { color: colour.values, colorscale: scale.map((c, k) => [k / (scale.length - 1), c]), reversescale: main.better < 0 } : { color: "#0072B2" };
    const trace = { type: "parcoords", dimensions, line, labelangle: -12, labelfont: { size: 12 }, tickfont: { size: 11 }, unselected: { line: { opacity: 0.06 } } };
    const layout = { height: 340, margin: { l: 90, r: 110, t: 76, b: 16 }, paper_bgcolor: "white", font: { family: "system-ui, sans-serif", color: "#222" } };
    await Plotly.newPlot(this.chart, [trace], layout, { displayModeBar: false, responsive: true });
    this.chart.on("plotly_restyle", () => this.read());
  }

  /** Take over what is brushed. */
  read() {
    const brushes = new Map();
    this.chart.data[0].dimensions.forEach(({ constraintrange }, k) => {
      if (!constraintrange?.length) return;
      brushes.set(this.trials.axes[k].name, Array.isArray(constraintrange[0]) ? constraintrange : [constraintrange]);
    });
    this.changed(brushes);
  }
}
