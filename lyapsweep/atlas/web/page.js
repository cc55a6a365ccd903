"use strict";
// What every part of the page shares: unpacking, drawing figures as they come into view, tables that sort.

const OLD = typeof DecompressionStream === "undefined";

/** The text that a block of gzip in base64 holds. */
async function unpack(block) {
  const letters = atob(block.textContent);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

const packed = (kind, within = document) => within.querySelector(`script[data-kind="${kind}"]`);

/** Do something once an element is about to be seen. */
function whenSeen(element, act) {
  const watch = new IntersectionObserver(entries => {
    if (!entries.some(entry => entry.isIntersecting)) return;
    watch.disconnect();
    act(element);
  }, { rootMargin: "400px 0px" });
  watch.observe(element);
}

/** plotly.js, unpacked when the first figure asks for it. */
let plotly = null;
function drawing() {
  plotly ??= unpack(packed("plotly")).then(source => {
    const script = document.createElement("script");
    script.textContent = source;
    document.head.append(script);
    return window.Plotly;
  });
  return plotly;
}

// Figures are drawn for white paper; on a dark page their greys are turned round.
const dark = matchMedia("(prefers-color-scheme: dark)");
const DARK = { white: "#16181c", "#ffffff": "#16181c", black: "#ececec", "#000000": "#ececec", "#222": "#dddddd", "#444": "#aaaaaa",
  "#e6e6e6": "#33363c", "#6b6b6b": "#a5a5a5", "#d9d9d9": "#4a4d54", "#d0d0d0": "#4a4d54", "#c8c8c8": "#55585f", "rgba(255,255,255,0.8)": "rgba(22,24,28,0.8)" };
const turned = value => {
  if (typeof value === "string") return DARK[value] ?? value;
  if (Array.isArray(value)) return value.map(turned);
  if (!value || typeof value !== "object" || ArrayBuffer.isView(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, key === "text" || key === "name" ? part : turned(part)]));
};
const SETTINGS = { responsive: true, displaylogo: false, displayModeBar: false };
const figures = new Map();  // of the charts that are drawn

async function draw(chart) {
  const block = packed("figure", chart);
  const [Plotly, figure] = await Promise.all([drawing(), unpack(block).then(JSON.parse)]);
  block.remove();
  figures.set(chart, figure);
  await show(chart, dark.matches);
  chart.after(downloads(chart, Plotly));
}

async function show(chart, darkly) {
  const figure = figures.get(chart), { data, layout } = darkly ? turned(figure) : JSON.parse(JSON.stringify(figure));
  await (await drawing()).react(chart, data, layout, SETTINGS);
}
dark.addEventListener("change", () => figures.forEach((_, chart) => show(chart, dark.matches)));
addEventListener("beforeprint", () => dark.matches && figures.forEach((_, chart) => show(chart, false)));
addEventListener("afterprint", () => dark.matches && figures.forEach((_, chart) => show(chart, true)));

/** Links that save a figure, as it is on white paper. */
function downloads(chart, Plotly) {
  const section = chart.closest("section"), number = [...section.querySelectorAll(".chart")].indexOf(chart) + 1;
  const links = document.createElement("div");
  links.className = "downloads";
  for (const format of ["png", "svg"]) {
    links.append(button(format.toUpperCase(), `Save this figure as ${format.toUpperCase()}`, () => Plotly.downloadImage(figures.get(chart), {
      format, width: Math.max(chart.clientWidth, 480), height: chart.clientHeight, scale: format === "png" ? 3 : 1, filename: `${section.id}-${number}`,
    })));
  }
  return links;
}

function button(words, title, act) {
  const made = document.createElement("button");
  Object.assign(made, { type: "button", textContent: words, title });
  made.addEventListener("click", act);
  return made;
}

/** Save a table as CSV, numbers with all their digits. */
async function saveTable(table) {
  if (!OLD) await fill(table);
  const quoted = text => /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  const cell = c => quoted(c.dataset.v ?? c.textContent);
  const lines = [...table.rows].map(row => [...row.cells].map(cell).join(","));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([lines.join("\n") + "\n"], { type: "text/csv" }));
  link.download = `${table.closest("section")?.id ?? "table"}.csv`;
  link.click();
  URL.revokeObjectURL(link.href);
}

/** The rows of a long table that are not written out. */
async function fill(table) {
  const block = packed("rows", table.parentNode);
  if (!block) return;
  const rows = unpack(block);
  block.remove();
  table.tBodies[0].insertAdjacentHTML("beforeend", await rows);
}

function sortRows(table, column, down) {
  const value = row => row.cells[column].dataset.v;
  const key = v => (v === "" || v === undefined) ? null : (isNaN(v) ? v : Number(v));
  const rows = [...table.tBodies[0].rows];
  rows.sort((p, q) => {
    const a = key(value(p)), b = key(value(q));
    if (a === null || b === null) return (a === null) - (b === null);
    const order = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
    return down ? -order : order;
  });
  table.tBodies[0].append(...rows);
}

document.querySelectorAll("table.sortable").forEach(table => {
  const links = document.createElement("div");
  links.className = "downloads";
  links.append(button("CSV", "Save this table as CSV, numbers with all digits", () => saveTable(table)));
  table.parentNode.after(links);
});

document.querySelectorAll("table.sortable thead th").forEach(head => {
  const sort = async () => {
    const down = head.getAttribute("aria-sort") === "ascending", table = head.closest("table");
    if (!OLD) await fill(table);
    head.parentNode.querySelectorAll("th").forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    sortRows(table, head.cellIndex, down);
  };
  head.tabIndex = 0;
  head.addEventListener("click", sort);
  head.addEventListener("keydown", event => { if (event.key === "Enter") sort(); });
});

if (OLD) {
  document.querySelectorAll(".chart, .explorer").forEach(slot => {
    slot.textContent = document.querySelector("noscript").textContent.replace(/<[^>]*>/g, "");
    slot.className = "note";
    slot.style.height = "auto";
  });
} else {
  document.querySelectorAll(".chart").forEach(chart => whenSeen(chart, draw));
  document.querySelectorAll("table").forEach(table => packed("rows", table.parentNode) && whenSeen(table.parentNode, () => fill(table)));
}

// The question that is being read is marked in the contents.
const links = new Map([...document.querySelectorAll(".contents a")].map(a => [a.hash.slice(1), a]));
links.forEach((a, id) => a.addEventListener("click", event => {  // the address keeps the view of the map
  event.preventDefault();
  document.getElementById(id).scrollIntoView();
}));
const questions = [...document.querySelectorAll(".ask")];
const mark = () => {
  const end = innerHeight + scrollY >= document.documentElement.scrollHeight - 2;  // the last may be short
  const passed = questions.filter(q => end || q.getBoundingClientRect().top < 140);
  const now = (passed.at(-1) ?? questions[0])?.id;
  links.forEach((a, id) => id === now ? a.setAttribute("aria-current", "true") : a.removeAttribute("aria-current"));
};
if (questions.length) {
  addEventListener("scroll", mark, { passive: true });
  mark();
}

// Folded sections open all at once, and before the page is printed.
const folds = [...document.querySelectorAll("details")];
const unfold = document.querySelector(".unfold");
const openAll = wanted => folds.forEach(fold => { fold.open = wanted; });
unfold?.addEventListener("click", () => {
  const wanted = folds.some(fold => !fold.open);
  openAll(wanted);
  unfold.textContent = wanted ? "Close all" : "Open all";
});
addEventListener("beforeprint", () => openAll(true));
