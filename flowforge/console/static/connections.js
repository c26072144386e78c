// The saved connections: tried, added, removed.
import { ask, path } from "./api.js";
import { attempt, form, outcome } from "./connect.js";
import { choose } from "./dialog.js";
import { h } from "./dom.js";
import { to } from "./place.js";
import { command, grid, link, moment, nothing } from "./show.js";
import { say } from "./view.js";

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
