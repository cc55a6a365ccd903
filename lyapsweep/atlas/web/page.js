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

async function draw(chart) {
  const block = packed("figure", chart);
  const [Plotly, figure] = await Promise.all([drawing(), unpack(block).then(JSON.parse)]);
  const settings = { responsive: true, displaylogo: false, displayModeBar: false };
  block.remove();
  await Plotly.newPlot(chart, figure.data, figure.layout, settings);
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
