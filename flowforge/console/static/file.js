// One file: what it is, proposed from all of it with reasons; the request that loads it so; and what became of its versions.
import { ask } from "./api.js";
import { h } from "./dom.js";
import { reports } from "./files.js";
import { request } from "./job.js";
import { bytes, command, facts, grid, nothing, number, problem } from "./show.js";
import { rows } from "./sql.js";

const ASKED = { member: "Member of a zip", sheet: "Sheet", recordsAt: "Records at (JSON)" };

export const file = {
  title: (place) => place.id.split("/").at(-1),
  async load(place, signal) {
    const asked = Object.fromEntries(Object.keys(ASKED).map((name) => [name, place.get(name)]));
    const [is, became] = await Promise.all([ask("files/inspect", { query: { key: place.id, ...asked }, signal }).catch((trouble) => ({ trouble })),
      ask("files", { query: { key: place.id }, signal }).catch(unless404)]);
    return { is, became };
  },
  draw({ is, became }, place, view) {
    return h("div.two.job", h("div", h("p", h("code", place.id)), again(place, view), is.trouble ? problem(is.trouble) : inspected(is, view), versions(became), command(`flowforge files show ${place.id}`)),
      !is.trouble && request(proposed(is, place.id, view.own.key), true, view));
  },
};

// Nothing became of it yet.
const unless404 = (trouble) => {
  if (trouble.status !== 404) throw trouble;
  return { files: [] };
};

// What a file cannot tell by itself.
function again(place, view) {
  const set = (name) => (event) => { place.keep({ [name]: event.target.value }); view.own.edited = null; view.again(); };
  return h("details", { "data-key": "again" }, h("summary", "Look at another part of it"), h("div.fields", Object.entries(ASKED).map(([name, title]) => h("label", title, h("input", { value: place.get(name), onchange: set(name) })))));
}

function inspected(is, view) {
  return [
    facts([["Form", is.form], ["Size", bytes(is.size)], ["Records", number(is.records)], ["Do not fit", is.irregular > 0 && h("strong", number(is.irregular))]]),
    is.notes.map((note) => h("p.note", note)),
    is.found.length > 0 && grid({ caption: "What was found", rows: is.found, columns: [
      { title: "What", draw: (one) => one.what },
      { title: "Value", draw: (one) => h("code", one.value) },
      { title: "Because", draw: (one) => one.reason },
    ] }),
    grid({ caption: "Columns, by all records", rows: is.columns, columns: [
      { title: "Column", draw: (one) => h("code", one.name) },
      { title: "Type", draw: (one) => one.type },
      { title: "Because", draw: (one) => one.reason },
      { title: "Empty", right: true, draw: (one) => number(one.empty) },
      { title: "NULL", right: true, draw: (one) => number(one.nulls) },
    ] }),
    h("h2", "First rows"), is.rows.length ? rows(is.columns.map((one) => one.name), is.rows, "First rows") : nothing("No record."),
    is.first_irregular.length > 0 && grid({ caption: "Records that do not fit", rows: is.first_irregular, columns: [
      { title: "Line", right: true, draw: (one) => number(one.line) },
      { title: "Because", draw: (one) => one.reason },
      { title: "Text", draw: (one) => h("code", one.text) },
    ] }),
    h("p.actions", h("label", "Rows are told apart by ", h("select", { value: view.own.key ?? "", onchange: (event) => { view.own.key = event.target.value; view.redraw(); } },
      h("option", { value: "" }, "nothing: rows are added"), is.columns.map((one) => h("option", { value: one.name }, one.name))))),
  ];
}

const versions = (became) => became.files.length > 0 && h("section", h("h2", "What became of it"), reports(became.files),
  became.files.map((one) => one.rejects?.length > 0 && grid({ caption: "The first records that did not fit", rows: one.rejects, columns: ["row_number", "line", "column", "reason"].map((name) => ({ title: name.replace("_", " "), draw: (row) => row[name] ?? "–" })) })));

// The request that reads files as this one: all of its job's folder, or this one alone where it lies in none.
function proposed(is, key, primaryKey) {
  const [, workflow, job, name] = key.match(/^landing\/([^/]+)\/([^/]+)\/([^/]+)$/) ?? [];
  const { fileConfig, ...source } = is.source_config;
  return {
    workflow_id: workflow ?? "files",
    job_id: job ?? "load",
    source_type: "file",
    source_config: { ...source, fileConfig: name ? fileConfig : { filePath: key, ...fileConfig } },
    ...(primaryKey && { destination_config: { silverConfig: { primaryKey } } }),
  };
}
