// What became of files, and which wait below landing/; and a form that puts one there.
import { ask } from "./api.js";
import { h } from "./dom.js";
import { to } from "./place.js";
import { bytes, chip, command, grid, link, moment, nothing, number, problem } from "./show.js";
import { say } from "./view.js";

const MOST_BYTES = 3_000_000;

export const files = {
  title: () => "Files",
  every: () => 15,
  load: (place, signal) => ask("files", { query: { limit: 100, state: place.get("state"), table: place.get("table"), cursor: place.get("from") }, signal }),
  draw(data, place, view) {
    const waiting = place.get("state") === "waiting";
    const tab = (state, title) => link(place.with({ state, from: "" }), h(place.get("state") === state ? "strong" : "span", title));
    return [h("p.filters", tab("", "Reports"), tab("waiting", "Waiting")), (data.notes ?? []).map((note) => h("p.note", note)),
      data.files.length ? (waiting ? lying : reports)(data.files) : nothing(waiting ? "No file waits." : "No file has been taken yet: one that is put below landing/ is loaded by its job."),
      data.next && h("p.pages", link(place.with({ from: data.next }), "More")), upload(view), command(`flowforge files list${waiting ? " --waiting" : ""}`)];
  },
};

const named = (file) => link(to("files", keyOf(file)), h("code", file));

// A file's key in the lake's bucket; reports have it with the bucket's name.
export const keyOf = (file) => file.replace(/^s3:\/\/[^/]+\//, "");

export const reports = (all) => grid({
  key: (one) => `${one.file} ${one.at}`,
  rows: all,
  columns: [
    { title: "File", draw: (one) => [named(one.file), one.run_id && h("small", link(to("runs", one.run_id), "its run"))] },
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
  const field = (name, title, hint) => h("label", title, h("input", { required: true, autocomplete: "off", value: own[name], placeholder: hint, oninput: (event) => { own[name] = event.target.value; } }));
  return h("details", { "data-key": "upload" }, h("summary", "Upload a file"), h("form.fields", { onsubmit: (event) => { event.preventDefault(); put(own, event.target.querySelector("[type=file]").files[0], view); } },
    field("workflow", "Workflow", "crm"), field("job", "Job", "customers"), h("label", "File", h("input", { type: "file", required: true })),
    h("p.quiet", `It goes below landing/WORKFLOW/JOB/ under its name, with ${bytes(MOST_BYTES)} at most. A job that is known loads it at once; else it waits, and can be looked into first.`),
    h("p.actions", h("button.main", { type: "submit", disabled: Boolean(own.busy) }, "Upload"), own.busy && "sending …"),
    own.trouble && problem(own.trouble)), command("flowforge files put FILE WORKFLOW/JOB"));
}

async function put(own, file, view) {
  Object.assign(own, { busy: true, trouble: null });
  view.redraw();
  try {
    if (file.size > MOST_BYTES) throw Object.assign(new Error(`${file.name} has ${bytes(file.size)}, of at most ${bytes(MOST_BYTES)} here`), { remedy: `flowforge files put ${file.name} ${own.workflow}/${own.job}` });
    const stored = await ask("files", { body: { workflow_id: own.workflow, job_id: own.job, name: file.name, content: await base64(file) } });
    say(`${stored.key} is uploaded`);
    location.hash = to("files", stored.key);
  } catch (error) {
    own.trouble = error;
  }
  own.busy = false;
  view.redraw();
}

const base64 = (file) => new Promise((resolve, reject) => {
  const reader = new FileReader();
  reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
  reader.onerror = () => reject(new Error(`${file.name} cannot be read: ${reader.error.message}`));
  reader.readAsDataURL(file);
});
