// The saved connections: tried, added, removed. A password goes to the secret store and is never shown.
import { ask, path } from "./api.js";
import { choose } from "./dialog.js";
import { h } from "./dom.js";
import { to } from "./place.js";
import { chip, command, facts, grid, link, moment, nothing, number, problem } from "./show.js";
import { say } from "./view.js";

const EMPTY = { id: "", host: "", port: "1433", database: "", username: "", password: "", trustServerCertificate: false };
const FIELDS = [["id", "Name", "bank"], ["host", "Host", "sql.example.com"], ["port", "Port", "1433"], ["database", "Database", "Bank"], ["username", "Login", "loader"], ["password", "Password", ""]];

export const connections = {
  title: () => "Connections",
  every: () => 30,
  load: (place, signal) => ask("connections", { query: { cursor: place.get("from") }, signal }),
  draw: (data, place, view) => [
    data.connections.length ? list(data.connections, view) : nothing("No connection is saved yet."),
    data.next && h("p.pages", link(place.with({ from: data.next }), "More")),
    view.own.tried?.of && outcome(view),
    h("details", { open: data.connections.length === 0 }, h("summary", "Add a connection"), form(view, () => view.again())),
    command("flowforge connections list"),
  ],
};

const list = (known, view) => grid({
  key: (one) => one.id,
  rows: known,
  columns: [
    { title: "Name", draw: (one) => h("strong", one.id) },
    { title: "Server", draw: (one) => [`${one.host}:${one.port}`, h("small", one.database)] },
    { title: "Login", draw: (one) => one.username },
    { title: "Certificate", draw: (one) => (one.trustServerCertificate ? "not checked" : "checked") },
    { title: "Saved", draw: (one) => moment(one.created_at) },
    { title: "Then", draw: (one) => h("span.chips", h("button", { disabled: Boolean(view.own.busy), onclick: () => attempt(view, { connectionId: one.id }), "aria-label": `Test ${one.id}` }, "Test"),
      link(to("job", "", { connection: one.id }), "New job"), h("button.quiet", { onclick: () => remove(one.id, view), "aria-label": `Remove ${one.id}` }, "Remove …")) },
  ],
});

const remove = (id, view) => choose({
  title: "Remove",
  load: () => Promise.resolve({}),
  draw: () => [h("p", `The connection ${id} and its password are removed. Jobs that name it fail from then on.`), command(`flowforge connections remove ${id}`)],
  action: () => `Remove ${id}`,
  run: async () => {
    await ask(path("connections", id), { method: "DELETE" });
    say(`${id} is removed`);
    await view.again();
  },
});

// The form of a connection: tried before it is saved. saved(id) is called once a connection is kept.
export function form(view, saved) {
  const own = (view.own.connect ??= { ...EMPTY });
  const field = ([name, title, hint]) => h("label", title, h("input", {
    name, value: own[name], placeholder: hint, required: true, autocomplete: "off",
    type: name === "password" ? "password" : name === "port" ? "number" : "text", oninput: (event) => { own[name] = event.target.value; },
  }));
  const save = async (event) => {
    event.preventDefault();
    await deed(view, "save", async () => {
      const kept = await ask("connections", { body: { id: own.id, ...reached(own) } });
      view.own.connect = { ...EMPTY };
      view.own.tried = null;
      say(`Connection ${kept.id} is saved`);
      await saved(kept.id);
    });
  };
  return h("form.fields", { onsubmit: save }, FIELDS.map(field),
    h("label.check", h("input", { type: "checkbox", checked: own.trustServerCertificate, onchange: (event) => { own.trustServerCertificate = event.target.checked; } }), " do not check the server's certificate"),
    h("p.actions", h("button", { type: "button", disabled: Boolean(view.own.busy), onclick: () => attempt(view, { ...reached(own) }) }, "Test"), h("button.main", { type: "submit", disabled: Boolean(view.own.busy) }, "Save"), view.own.busy && "asking …"),
    outcome(view));
}

const reached = ({ host, port, database, username, password, trustServerCertificate }) => ({ host, port: Number(port), database, username, password, trustServerCertificate });

async function deed(view, name, run) {
  view.own.busy = name;
  view.own.tried = null;
  view.redraw();
  try {
    await run();
  } catch (error) {
    view.own.tried = { trouble: error };
  }
  view.own.busy = null;
  view.redraw();
}

// Tries a connection: what is written in the form, or {connectionId}.
export const attempt = (view, connection) => deed(view, "test", async () => {
  view.own.tried = { told: await ask("test-connection/database", { body: { connection } }), of: connection.connectionId };
  say(`The connection test: ${view.own.tried.told.status}`);
});

export function outcome(view) {
  const { told, trouble, of } = view.own.tried ?? {};
  if (trouble) return problem(trouble);
  if (!told) return null;
  if (told.status !== "success") return problem({ message: `${told.message ?? told.error}`, remedy: told.remedy }, { title: `Failed at the step ${told.step}` });
  return h("div.outcome", { "data-key": "outcome" }, facts([
    ["Test", chip("success", of ? `${of} answers` : "it answers")],
    ["Server", told.server_version],
    ["Login", told.login],
    ["Tables", number(told.tables)],
    ["TLS", told.encrypted === false ? "no" : told.encrypted ? "yes" : null],
    ["Sees open transactions", told.sees_open_transactions ? "yes: bounds are exact" : "no: it reads five minutes behind"],
    ["Snapshot isolation", told.snapshot_isolation ? "yes" : "no"],
    ["Change Tracking", told.change_tracking && (told.change_tracking.on ? "on" : told.change_tracking.problem ?? "off")],
    ["Driver", told.driver],
  ]));
}
