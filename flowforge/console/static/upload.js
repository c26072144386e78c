// Puts a small file below landing/, where its job finds it, and goes to what it is.
import { ask } from "./api.js";
import { h } from "./dom.js";
import { to } from "./place.js";
import { bytes, command, problem } from "./show.js";
import { say } from "./view.js";

const MOST_BYTES = 3_000_000;

export function upload(view) {
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
