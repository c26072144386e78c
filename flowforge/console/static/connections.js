// The saved connections: tried, added, removed. A password goes to the secret store and is never shown.
import { ask, path } from "./api.js";
import { h } from "./dom.js";
import { to } from "./place.js";
import { check, chip, command, facts, field, grid, link, moment, more, nothing, number, problem } from "./show.js";
import { remove, say } from "./view.js";

const EMPTY = { id: "", host: "", port: "1433", database: "", username: "", password: "", trustServerCertificate: false };
const FIELDS = [["id", "Name", "bank"], ["host", "Host", "sql.example.com"], ["port", "Port", "1433"], ["database", "Database", "Bank"], ["username", "Login", "loader"], ["password", "Password", ""]];

export const connections = {
  title: () => "Connections",
  every: () => 30,
  load: (place, signal) => ask("connections", { query: { cursor: place.get("from") }, signal }),
  draw: (data, place, view) => [
    data.connections.length ? list(data.connections, view) : nothing("No connection is saved yet."),
    more(data, place), view.own.of && outcome(view),
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
    { title: "Then", draw: (one) => h("span.chips", h("button", { disabled: view.own.busy, onclick: () => attempt(view, { connectionId: one.id }), "aria-label": `Test ${one.id}` }, "Test"),
      link(to("job", "", { connection: one.id }), "New job"), h("button.quiet", { onclick: () => remove(path("connections", one.id), one.id, `The connection ${one.id} and its password are removed. Jobs that name it fail from then on.`, () => view.again()), "aria-label": `Remove ${one.id}` }, "Remove …")) },
  ],
});

// The form of a connection: tried before it is saved. saved(id) is called once a connection is kept.
export function form(view, saved) {
  const own = (view.own.connect ??= { ...EMPTY });
  const save = (event) => {
    event.preventDefault();
    view.own.of = null;
    view.deed(view.own, async () => {
      const kept = await ask("connections", { body: { id: own.id, ...reached(own) } });
      view.own.connect = { ...EMPTY };
      view.own.tried = null;
      say(`Connection ${kept.id} is saved`);
      await saved(kept.id);
    });
  };
  return h("form.fields", { onsubmit: save },
    FIELDS.map(([name, title, placeholder]) => field(title, own, name, { name, placeholder, type: name === "password" ? "password" : name === "port" ? "number" : "text" })),
    check(own.trustServerCertificate, (on) => { own.trustServerCertificate = on; }, "do not check the server's certificate"),
    h("p.actions", h("button", { type: "button", disabled: view.own.busy, onclick: () => attempt(view, reached(own)) }, "Test"), h("button.main", { type: "submit", disabled: view.own.busy }, "Save"), view.own.busy && "asking …"),
    !view.own.of && outcome(view));
}

const reached = ({ host, port, database, username, password, trustServerCertificate }) => ({ host, port: Number(port), database, username, password, trustServerCertificate });

// Tries a connection: what is written in the form, or {connectionId}.
export function attempt(view, connection) {
  Object.assign(view.own, { of: connection.connectionId, tried: null });
  return view.deed(view.own, async () => {
    view.own.tried = await ask("test-connection/database", { body: { connection } });
    say(`The connection test: ${view.own.tried.status}`);
  });
}

export function outcome({ own: { tried: told, trouble, of } }) {
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
