// What people were told by webhook or Slack, and what was not taken; and a test of who is told.
import { ask } from "./api.js";
import { h } from "./dom.js";
import { chip, command, facts, grid, itsRun, moment, more, nothing } from "./show.js";
import { choose } from "./view.js";

export const alerts = {
  title: () => "Alerts",
  every: () => 20,
  load: (place, signal) => ask("alerts", { query: { cursor: place.get("from") }, signal }),
  draw: (data, place, view) => [
    data.receivers.length ? [facts([["Told", data.receivers.map(named).join(", ")], ["Of", data.kinds.join(", ")], ["No new rows", data.quiet_hours ? `for ${data.quiet_hours} h` : "is not told"]]),
      h("p.actions", h("button", { onclick: () => test(view) }, "Send a test …"))]
      : nothing("Nobody is told: no receiver is set. The parameters AlertWebhook and AlertSlackSecret name one."),
    data.alerts.length ? list(data.alerts) : nothing("No alert yet."),
    more(data, place, "Older"), command("flowforge alerts list"),
  ],
};

const named = (one) => (one.name === "slack" ? "Slack" : `${one.host}${one.signed ? "" : " (not signed)"}`);

const list = (known) => grid({
  caption: "Newest first",
  key: (one) => one.id,
  rows: known,
  columns: [
    { title: "When", draw: (one) => moment(one.at) },
    { title: "Kind", draw: (one) => one.kind },
    { title: "Told", draw: (one) => [one.title, itsRun(one)] },
    { title: "Outcome", draw: (one) => [chip(one.problem ? "failed" : "sent"), one.problem && h("small", `${one.problem} (attempt ${one.attempts})`)] },
  ],
});

const test = (view) => choose({
  title: "Send a test",
  draw: () => [h("p", "Each receiver gets a message of the kind test, signed as every alert."), command("flowforge alerts test")],
  action: () => "Send it",
  run: async () => {
    const told = await ask("alerts/test", { method: "POST" });
    view.again();
    return h("div", facts(told.receivers.map((one) => [named(one), [chip(one.status), one.problem && h("small", `${one.problem}. ${one.remedy ?? ""}`)]])));
  },
});
