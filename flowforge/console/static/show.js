// How figures, times, statuses, tables and refusals look. Documents of the API in, elements out.
import { given, h, svg } from "./dom.js";
import { to } from "./place.js";

const MARKS = {
  good: ["✔", "succeeded published empty current success loaded loads sent built"],
  bad: ["✘", "failed rejected unreadable refused"],
  busy: ["▸", "running reading landed refined"],
};
const KINDS = new Map(Object.entries(MARKS).flatMap(([kind, [, words]]) => words.split(" ").map((word) => [word, kind])));

export const kind = (status) => KINDS.get(status) ?? "wait";

// A status is a sign, a word and a colour.
export function chip(status, word = status) {
  return h(`span.chip.${kind(status)}`, h("span", { "aria-hidden": "true" }, sign(status)), ` ${word ?? "…"}`);
}

export const sign = (status) => MARKS[kind(status)]?.[0] ?? "·";

export const number = (value) => (value == null ? "–" : value.toLocaleString("en"));

export function bytes(count) {
  if (count == null) return "–";
  let amount = count;
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (amount < 1024 || unit === "GiB") return `${amount.toLocaleString("en", { maximumFractionDigits: unit === "B" ? 0 : 1 })} ${unit}`;
    amount /= 1024;
  }
}

export const clock = (time) => new Date(time).toLocaleTimeString("en-GB");

// 0.94 s, 48 s, 3 min 20 s, 5 h 2 min, 3 days
export function span(seconds) {
  if (seconds == null) return "–";
  const whole = Math.max(0, Math.floor(seconds));
  if (seconds < 10) return `${Math.max(0, seconds).toFixed(seconds < 1 ? 2 : 1)} s`;
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 172_800) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 86_400)} days`;
}

// A time of the API (ISO 8601): today's by the clock, others with their day; all of it on hovering.
export function moment(iso) {
  if (!iso) return "–";
  const time = new Date(iso);
  if (Number.isNaN(time.getTime())) return iso;
  const today = time.toDateString() === new Date().toDateString();
  const day = today ? "" : `${time.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: time.getFullYear() === new Date().getFullYear() ? undefined : "numeric" })}, `;
  return h("time", { datetime: iso, title: iso }, `${day}${clock(time)}`);
}

// Seconds from a time until now, counted on by `tick`.
export const age = (iso) => h("span", { "data-since": new Date(iso).getTime() }, span((Date.now() - new Date(iso)) / 1000));

export function tick() {
  for (const one of document.querySelectorAll("[data-since]")) {
    const text = span(Math.floor((Date.now() - Number(one.dataset.since)) / 1000) || 0);
    if (one.textContent !== text) one.textContent = text;
  }
}

export const between = (from, to) => span((new Date(to) - new Date(from)) / 1000);

// A table: columns are {title, draw(row), right, by(row)}; `sort` is {by, go(by)} of the address where it can be sorted.
export function grid({ caption, columns, rows, key, sort }) {
  const shown = sort?.by ? sorted(rows, columns, sort.by) : rows;
  return h("div.wide", h("table.grid", { role: "table" },
    caption && h("caption", caption),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, columns.map((one) => heading(one, sort)))),
    h("tbody", { role: "rowgroup" }, shown.map((row) => h("tr", { role: "row", "data-key": key?.(row) },
      columns.map((one) => h(one.right ? "td.number" : "td", { role: "cell", "data-title": one.title }, one.draw(row))))))));
}

function heading(column, sort) {
  const kind = column.right ? "th.number" : "th";
  if (!sort || !column.by) return h(kind, { scope: "col", role: "columnheader" }, column.title);
  const down = sort.by === `-${column.title}`;
  const on = down || sort.by === column.title;
  const order = on ? (down ? "descending" : "ascending") : "none";
  const next = on && !down ? `-${column.title}` : column.title;
  const sign = on ? (down ? " ↓" : " ↑") : "";
  return h(kind, { scope: "col", role: "columnheader", "aria-sort": order },
    h("button.plain", { onclick: () => sort.go(next) }, column.title, h("span", { "aria-hidden": "true" }, sign)));
}

function sorted(rows, columns, by) {
  const column = columns.find((one) => one.title === by.replace(/^-/, ""));
  if (!column?.by) return rows;
  const order = (a, b) => (a === b ? 0 : a == null ? 1 : b == null ? -1 : a < b ? -1 : 1);
  const sign = by.startsWith("-") ? -1 : 1;
  return [...rows].sort((a, b) => sign * order(column.by(a), column.by(b)));
}

// Names with their values, those without one left out.
export const facts = (pairs) =>
  h("dl.facts", pairs.filter(([, value]) => given(value))
    .map(([name, value]) => h("div", { "data-key": name }, h("dt", name), h("dd", value))));

// Figures as a small picture, oldest first; said in words for those who do not see it.
export function spark(values, words) {
  if (!values?.length) return "–";
  const [width, height, most] = [values.length * 5, 18, Math.max(1, ...values)];
  const told = `${words}: ${values.map(number).join(", ")}`;
  return svg("svg.spark", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": told }, svg("title", told), values.map((value, place) => {
    const tall = value ? Math.max(2, (value / most) * height) : 1;
    return svg("rect", { x: place * 5, y: height - tall, width: 4, height: tall });
  }));
}

// What is made from what, as a picture: each table to the right of those that it reads. `marks` are signs before names, `here` is drawn bold.
export function graph(edges, { marks = {}, here } = {}) {
  const levels = new Map(edges.flatMap(({ from, to }) => [from, to]).filter(given).map((name) => [name, 0]));
  const real = edges.filter(({ from, to }) => from && from !== to);
  for (let pass = 1; pass < levels.size; pass += 1) {
    for (const { from, to } of real) levels.set(to, Math.min(levels.size - 1, Math.max(levels.get(to), levels.get(from) + 1)));
  }
  const columns = [];
  for (const [name, level] of levels) (columns[level] ??= []).push(name);
  const places = new Map();
  let width = 0;
  columns.forEach((names) => {
    const wide = 7.4 * Math.max(...names.map((name) => name.length + 2));
    names.forEach((name, row) => places.set(name, { x: width, end: width + wide, y: row * 28 + 18 }));
    width += wide + 48;
  });
  const height = Math.max(...columns.map((names) => names.length)) * 28;
  const node = (name) => svg("text", { x: places.get(name).x, y: places.get(name).y, "font-weight": name === here ? 650 : null }, (marks[name] ?? "") + name);
  return h("div.wide", svg("svg.graph", { width, height, role: "group", "aria-label": real.map(({ from, to }) => `${from} makes ${to}`).join(", ") || "Tables" },
    real.map(({ from, to: name }) => {
      const [{ end, y }, goal] = [places.get(from), places.get(name)];
      return svg("path", { d: `M${end} ${y - 4}C${end + 24} ${y - 4} ${goal.x - 28} ${goal.y - 4} ${goal.x - 6} ${goal.y - 4}` });
    }),
    [...places.keys()].map((name) => (ofLake(name) ? svg("a", { href: to("tables", name) }, node(name)) : node(name)))));
}

export const ofLake = (name) => /^(silver|gold|quarantine)\./.test(name);

// The command that tells or does the same.
export function command(text) {
  const copy = async (event) => {
    const button = event.currentTarget;
    await navigator.clipboard.writeText(text).catch(() => null);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  };
  return h("p.command", h("code", text), h("button.quiet", { onclick: copy, "aria-label": `Copy ${text}` }, "Copy"));
}

export const nothing = (...told) => h("p.nothing", told);

// What was refused, why, and what to do about it.
export function problem(trouble, { title } = {}) {
  const mistakes = trouble.mistakes?.length
    ? h("ul", trouble.mistakes.map((one) => h("li", h("code", one.field), ` ${one.problem}`))) : null;
  return h("div.problem", { "data-key": "problem" }, title && h("strong", title), h("p.cause", trouble.message), mistakes,
    trouble.remedy && h("p.remedy", h("b", "What to do: "), trouble.remedy));
}

// A link to a page of the console.
export const link = (href, ...children) => h("a", { href }, children);

// A choice of the address: name=value, the one that is made in bold.
export const tab = (place, name, value, title = value, made = place.get(name)) =>
  h("a", { href: place.with({ [name]: value, from: "" }), "aria-current": made === value && "true" }, h(made === value ? "strong" : "span", title));

// The run that a row is of.
export const itsRun = ({ run_id: id }) => id && h("small", link(to("runs", id), "its run"));

export const money = (amount, { currency }) => `about ${amount.toFixed(amount < 1 ? 6 : 2)} ${currency}`;

// A text with a scroll bar of its own, which the keyboard reaches.
export const text = (told, label) => h("pre.code.scroll", { tabindex: "0", role: "region", "aria-label": label }, told);

// What follows a page of a list.
export const more = (data, place, words = "More") => data.next && h("p.pages", link(place.with({ from: data.next }), words));

// A field of a form that keeps what is written in own[name]; then() is what follows from it.
export const field = (title, own, name, rest, then) => h("label", title, h("input",
  { required: true, autocomplete: "off", value: own[name], oninput: (event) => { own[name] = event.target.value; then?.(); }, ...rest }));

// One of several, each a value or [value, title].
export const select = (value, options, then, rest) => h("select", { value, onchange: (event) => then(event.target.value), ...rest },
  options.map((one) => h("option", { value: [one].flat()[0] }, [one].flat().at(-1))));

export const check = (checked, then, ...words) => h("label.check", h("input", { type: "checkbox", checked, onchange: (event) => then(event.target.checked) }), " ", words);

export const find = (value, then) => h("label", "Find ", h("input", { type: "search", value, oninput: (event) => then(event.target.value) }));

// What a list shows by choice: what is looked for, and others.
export const filters = (place, view, ...others) => h("form.filters", { role: "search", onsubmit: (event) => event.preventDefault() },
  find(place.get("find"), (words) => view.keep({ find: words })), others);
