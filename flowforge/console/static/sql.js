// A box for one SELECT over the lake, now or as it was, whose answer stays on the page until the next question.
import { ask, path } from "./api.js";
import { h } from "./dom.js";
import { chip, command, nothing, number, problem } from "./show.js";
import { say } from "./view.js";

const NAME = /^[a-z_][a-z0-9_]*$/;
export const quoted = (layer, name) => `${layer}.${NAME.test(name) ? name : `"${name.replaceAll('"', '""')}"`}`;

export const sql = {
  title: () => "SQL",
  load: () => Promise.resolve({}),
  draw: (_, place, view) => box(view, place.get("q") || "SELECT * FROM silver.customers LIMIT 10", (q) => place.keep({ q })),
};

// `own` of the view keeps the text, the moment and the answer; `atOnce` asks the first question without being told.
export function box(view, first, keep, atOnce) {
  const own = (view.own.sql ??= { text: first, asOf: "" });
  if (atOnce && !own.asked) question(own, view);
  const change = (changes) => Object.assign(own, changes);
  const keys = (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) send(event); };
  const send = (event) => { event.preventDefault(); keep?.(own.text); if (!own.over) question(own, view); };
  return h("form.sql", { onsubmit: send },
    h("label", "One SELECT (DuckDB's SQL)", h("textarea.code", { rows: "4", spellcheck: "false", value: own.text, oninput: (event) => change({ text: event.target.value }), onkeydown: keys })),
    h("p.actions", h("button.main", { type: "submit", disabled: Boolean(own.over) }, own.over ? "Asking …" : "Ask"),
      own.over && h("button", { type: "button", disabled: own.stopping, onclick: () => halt(own, view) }, own.stopping ? "Stopping …" : "Stop"),
      h("label", "as of ", h("input", { placeholder: "now, a version, or a time", value: own.asOf, oninput: (event) => change({ asOf: event.target.value }) })), "Ctrl+Enter asks"),
    own.trouble && [problem(own.trouble), atLine(own.trouble.line, own.asked)], own.answer && answer(own),
    command(`flowforge sql "${own.text.replace(/\s+/g, " ").replace(/(["\\$`])/g, "\\$1")}"${own.asOf ? ` --as-of "${own.asOf}"` : ""}`));
}

// The line of a text that is refused, as it was asked; its button takes the reader there.
export function atLine(line, text) {
  const lines = text?.split("\n") ?? [];
  if (!line || line > lines.length) return null;
  const go = (event) => {
    const area = event.target.closest("form").querySelector("textarea");
    const from = lines.slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
    area.focus();
    area.setSelectionRange(from, from + lines[line - 1].length);
  };
  return h("p.note", { "data-key": "line" }, `Line ${line}: `, h("code", lines[line - 1].trim()), " ", h("button.quiet", { type: "button", onclick: go }, "Go there"));
}

async function question(own, view) {
  const id = crypto.randomUUID();
  const over = new AbortController();
  Object.assign(own, { id, over, stopping: false, trouble: null, asked: own.text });
  view.redraw();
  const asOf = /^\d+$/.test(own.asOf) ? Number(own.asOf) : own.asOf || null;
  try {
    own.answer = await ask("sql", { body: { sql: own.text, asOf, limit: 200, id }, signal: over.signal });
    say(`${own.answer.rows.length} rows`);
  } catch (error) {
    Object.assign(own, { answer: null, trouble: over.signal.aborted ? over.signal.reason : error });
  }
  own.over = null;
  view.redraw();
}

// The question ends at the server, and its own answer says so; where it cannot be told to end, nothing waits for it here any more.
async function halt(own, view) {
  own.stopping = true;
  view.redraw();
  await ask(path("sql", own.id), { method: "DELETE" }).catch((error) => own.over?.abort(error));
}

function answer({ answer: told }) {
  const count = `${number(told.rows.length)} rows in ${told.seconds} s`;
  return [h("p.quiet", count, told.more && [" ", chip("waiting", "there are more")]), told.rows.length ? rows(told.columns, told.rows, "The answer") : nothing("No row.")];
}

// Rows with a scroll bar of their own, which the keyboard reaches.
export const rows = (columns, lines, label) =>
  h("div.wide.scroll", { tabindex: "0", role: "region", "aria-label": label }, h("table.answer",
    h("thead", h("tr", columns.map((one) => h("th", { scope: "col" }, one)))),
    h("tbody", lines.map((line) => h("tr", line.map((one) => h("td", one === null ? h("span.quiet", "NULL") : typeof one === "object" ? JSON.stringify(one) : String(one))))))));
