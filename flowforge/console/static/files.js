// What became of files, and which wait below landing/; a form that puts one there; and one file: what it is, proposed from all of it
// with reasons, the request that loads it so, and what became of its versions.
import { ask } from "./api.js";
import { h } from "./dom.js";
import { to } from "./place.js";
import { bytes, chip, command, facts, field, grid, itsRun, link, moment, more, nothing, number, problem, select, tab } from "./show.js";
import { request } from "./job.js";
import { rows } from "./sql.js";
import { say } from "./view.js";

const MOST_BYTES = 3_000_000;

export const files = {
  title: () => "Files",
  every: () => 15,
  load: (place, signal) => ask("files", { query: { limit: 100, state: place.get("state"), table: place.get("table"), cursor: place.get("from") }, signal }),
  draw(data, place, view) {
    const waiting = place.get("state") === "waiting";
    return [h("p.filters", tab(place, "state", "", "Reports"), tab(place, "state", "waiting", "Waiting")), (data.notes ?? []).map((note) => h("p.note", note)),
      data.files.length ? (waiting ? lying : reports)(data.files) : nothing(waiting ? "No file waits." : "No file has been taken yet: one that is put below landing/ is loaded by its job."),
      more(data, place), upload(view), command(`flowforge files list${waiting ? " --waiting" : ""}`)];
  },
};

const named = (file) => link(to("files", keyOf(file)), h("code", file));

// A file's key in the lake's bucket; reports have it with the bucket's name.
const keyOf = (file) => file.replace(/^s3:\/\/[^/]+\//, "");

const reports = (all) => grid({
  key: (one) => `${one.file} ${one.at}`,
  rows: all,
  columns: [
    { title: "File", draw: (one) => [named(one.file), itsRun(one)] },
    { title: "State", draw: (one) => [chip(one.state), one.reason && h("small", one.reason)] },
    { title: "Table", draw: (one) => one.table ?? "–" },
    { title: "Rows", right: true, draw: (one) => number(one.rows) },
    { title: "Did not fit", right: true, draw: (one) => (one.rejected ? h("strong", number(one.rejected)) : number(one.rejected)) },
    { title: "When", draw: (one) => moment(one.at) },
  ],
});

const lying = (all) => grid({
  key: (one) => one.file,
  rows: all,
  columns: [
    { title: "File", draw: (one) => named(one.file) },
    { title: "Waits because", draw: (one) => one.reason },
    { title: "Job", draw: (one) => one.job ?? "none takes it" },
    { title: "Size", right: true, draw: (one) => bytes(one.size) },
    { title: "Since", draw: (one) => moment(one.since) },
  ],
});

// Puts a small file below landing/, where its job finds it, and goes to what it is.
function upload(view) {
  const own = (view.own.upload ??= { workflow: "", job: "" });
  return h("details", { "data-key": "upload" }, h("summary", "Upload a file"), h("form.fields", { onsubmit: (event) => { event.preventDefault(); put(own, event.target.querySelector("[type=file]").files[0], view); } },
    field("Workflow", own, "workflow", { placeholder: "crm" }), field("Job", own, "job", { placeholder: "customers" }), h("label", "File", h("input", { type: "file", required: true })),
    h("p.quiet", `It goes below landing/WORKFLOW/JOB/ under its name, with ${bytes(MOST_BYTES)} at most. A job that is known loads it at once; else it waits, and can be looked into first.`),
    h("p.actions", h("button.main", { type: "submit", disabled: own.busy }, "Upload"), own.busy && "sending …"),
    own.trouble && problem(own.trouble)), command("flowforge files put FILE WORKFLOW/JOB"));
}

const put = (own, file, view) => view.deed(own, async () => {
  if (file.size > MOST_BYTES) throw Object.assign(new Error(`${file.name} has ${bytes(file.size)}, of at most ${bytes(MOST_BYTES)} here`), { remedy: `flowforge files put ${file.name} ${own.workflow}/${own.job}` });
  const stored = await ask("files", { body: { workflow_id: own.workflow, job_id: own.job, name: file.name, content: await base64(file) } });
  say(`${stored.key} is uploaded`);
  location.hash = to("files", stored.key);
});

const base64 = (file) => new Promise((resolve, reject) => {
  const reader = new FileReader();
  reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
  reader.onerror = () => reject(new Error(`${file.name} cannot be read: ${reader.error.message}`));
  reader.readAsDataURL(file);
});

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
    h("p.actions", h("label", "Rows are told apart by ", select(view.own.key ?? "", [["", "nothing: rows are added"], ...is.columns.map((one) => one.name)], (key) => { view.own.key = key; view.redraw(); }))),
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
