// The frame: which page an address means, the colours, and the one clock. #/runs/ID?name=value is a page with what it shows.
import { about, enter } from "./api.js";
import { h, put } from "./dom.js";
import { Place } from "./place.js";
import { tick } from "./show.js";
import { View } from "./view.js";
import { alerts } from "./alerts.js";
import { connections } from "./connections.js";
import { file, files } from "./files.js";
import { job } from "./job.js";
import { letters } from "./letters.js";
import { model, models } from "./models.js";
import { run, runs } from "./runs.js";
import { one as schedule, schedules, template } from "./schedules.js";
import { sql } from "./sql.js";
import { table, tables } from "./tables.js";

const PAGES = { alerts, connections, files, job, letters, models, runs, schedules, sql, tables, templates: schedules };
const ONE = { files: file, models: model, runs: run, schedules: schedule, tables: table, templates: template };
const MENU = [["tables", "Tables"], ["runs", "Runs"], ["job", "New job"], ["schedules", "Schedules"], ["files", "Files"], ["models", "Models"], ["sql", "SQL"], ["connections", "Connections"], ["letters", "Dead letters"], ["alerts", "Alerts"]];
const WITHIN = { templates: "schedules" };
const HOME = "tables";
const COLOURS = { auto: "as the system", light: "light", dark: "dark" };
const at = (id) => document.getElementById(id);
let view;

function route() {
  const place = new Place(location.hash);
  const name = place.name || HOME;
  const page = (place.id ? ONE : PAGES)[name] ?? missing;
  const before = view;
  view?.close();
  view = new View(page, place);
  const shown = MENU.map(([to, title]) =>
    h("li", { "data-key": to }, h("a", { href: `#/${to}`, "aria-current": (name === to || WITHIN[name] === to) && "page" }, title)));
  put(at("menu"), shown);
  view.open();
  if (before && before.place.path !== place.path) {
    at("main").focus({ preventScroll: true });
    scrollTo(0, 0);
  }
}

const missing = {
  title: () => "No such page",
  load: () => Promise.resolve({}),
  draw: () => h("p", "Nothing is at this address. ", h("a", { href: "#/" }, "Go to the first page")),
};

function colours(chosen) {
  const known = Object.keys(COLOURS);
  const kept = known.includes(chosen) ? chosen : "auto";
  localStorage.setItem("flowforge-colours", kept);
  document.documentElement.dataset.colours = kept;
  at("colours").textContent = `Colours: ${COLOURS[kept]}`;
  at("colours").onclick = () => colours(known[(known.indexOf(kept) + 1) % known.length]);
}

async function tell() {
  const told = await about().catch(() => null);
  at("where").textContent = told ? `${told.kind}, ${told.api}, version ${told.version}` : "";
}

async function arrive() {
  await enter();
  route();
  tell();
}

colours(localStorage.getItem("flowforge-colours"));
at("skip").onclick = () => at("main").focus();
addEventListener("hashchange", arrive);
document.addEventListener("visibilitychange", () => view?.due());
setInterval(() => {
  if (document.visibilityState !== "visible") return;
  tick();
  view?.tick();
}, 1000);
await arrive();
