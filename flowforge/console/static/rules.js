// The quality rules of a table that is to be loaded: those that are wanted, and a form for one more of any kind.
import { h } from "./dom.js";
import { field, select } from "./show.js";

// What each kind asks for, by the names of a request.
const KINDS = {
  not_null: "column", unique: "columns", range: "column min max", allowed_values: "column values", pattern: "column pattern",
  reference: "columns table references", expression: "name sql", row_count: "min max", freshness: "column maxAgeHours",
};
const TITLES = {
  column: "Column", columns: "Columns", min: "At least", max: "At most", values: "Values", pattern: "Pattern (RE2)", table: "Silver table",
  references: "Its columns, if others", name: "Name", sql: "Condition (DuckDB's SQL)", maxAgeHours: "Hours",
};
const HINTS = { columns: "first, second", values: "first, second", references: "first, second", pattern: "[A-Z]{2}[0-9]+", sql: "paid <= due", min: "0", max: "100", maxAgeHours: "24" };
const LISTS = ["columns", "values", "references"];
const OPTIONAL = ["min", "max", "references"];
const OF_BATCHES = ["row_count", "freshness"];

// `chosen` are rules as a request has them; set(rules) keeps others in their place. `own` keeps what is being written.
export function rules(columns, chosen, set, own, view) {
  const draft = (own.rule ??= { rule: "range", severity: "quarantine", column: columns[0].name });
  const names = KINDS[draft.rule].split(" ");
  const change = (changes) => { Object.assign(draft, changes); view.redraw(); };
  const choice = (title, name, options) => h("label", title, select(draft[name], options, (value) => change({ [name]: value })));
  const add = (event) => {
    event.preventDefault();
    const told = names.filter((name) => draft[name]).map((name) => [name, valued(name, draft, columns)]);
    own.rule = { rule: draft.rule, severity: draft.severity, column: draft.column };
    set([...chosen, { rule: draft.rule, ...Object.fromEntries(told), severity: draft.severity }]);
  };
  const severities = ["warn", ...(OF_BATCHES.includes(draft.rule) ? [] : ["quarantine"]), "fail"];
  if (!severities.includes(draft.severity)) draft.severity = "warn";
  return [
    chosen.length > 0 && h("ul.notes", chosen.map((rule) => h("li", said(rule), " ", h("button.quiet", { "aria-label": `Remove ${said(rule)}`, onclick: () => set(chosen.filter((other) => other !== rule)) }, "Remove")))),
    h("form.fields", { onsubmit: add }, choice("Rule", "rule", Object.keys(KINDS).map((kind) => [kind, kind.replace("_", " ")])),
      names.map((name) => (name === "column" ? choice(TITLES[name], name, columns.map((one) => one.name))
        : field(TITLES[name], draft, name, { required: !OPTIONAL.includes(name), placeholder: HINTS[name] }))),
      choice("A row that breaks it", "severity", severities), h("p.actions", h("button", { type: "submit" }, "Add the rule"))),
  ];
}

// A rule in words: range: column zip, min 1 (quarantine)
const said = ({ rule, severity, ...others }) => `${rule.replace("_", " ")}: ${Object.entries(others).map(([name, value]) => `${name} ${[value].flat().join(", ")}`).join(", ")} (${severity})`;

// What was written, as the rule has it: numbers for columns of numbers, where none of their digits is lost.
function valued(name, draft, columns) {
  const kind = columns.find((one) => one.name === draft.column)?.arrow_type ?? "";
  const numeric = draft.rule === "row_count" || name === "maxAgeHours" || (["min", "max", "values"].includes(name) && /^u?int|^float|^double|^decimal/.test(kind));
  const one = (text) => (numeric && String(Number(text)) === text ? Number(text) : text);
  return LISTS.includes(name) ? draft[name].split(",").map((text) => one(text.trim())) : one(draft[name]);
}
