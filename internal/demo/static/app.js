// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Draws one dashboard of Grafana: /?d=NAME, with from=now-7d and a value for each variable; or /?query=PROMQL. The
// state of the page and of each panel is in data-state: loading, then drawn, empty or failed; the page is done when
// no panel is loading.
import { element } from "./element.js";
import { duration, evaluate, labelValues, substitute } from "./query.js";
import { drawBars, drawStat } from "./numbers.js";
import { drawSeries, drawStates } from "./series.js";
import { draw as drawTable } from "./table.js";

const parameters = new URLSearchParams(location.search);
const drawers = {
  stat: drawStat, bargauge: drawBars, timeseries: drawSeries, table: drawTable, "state-timeline": drawStates,
};

async function fetchJSON(path) {
  const response = await fetch(path);
  if (!response.ok) {
    throw new Error(`${path}: ${response.status}`);
  }
  return response.json();
}

/** go opens the page with a parameter changed. */
function go(name, value) {
  parameters.set(name, value);
  location.search = parameters.toString();
}

function addChoice(title, name, value, options) {
  const select = element("select", { name });
  for (const [option, text] of options) {
    const node = element("option", { value: option }, text);
    node.selected = option === value;
    select.append(node);
  }
  select.addEventListener("change", () => go(name, select.value));
  document.getElementById("variables").append(element("label", {}, title, select));
}

/** addVariables shows the variables and returns their values. */
async function addVariables(board, range) {
  const variables = [];
  for (const variable of board.templating.list) {
    if (variable.type === "datasource") {
      continue;
    }
    const { name, label, allValue, includeAll } = variable;
    const values = variable.type === "custom"
      ? variable.query.split(",")
      : await labelValues(substitute(variable.query, variables, range), range);
    const options = values.map((value) => [value, value]);
    if (includeAll) {
      options.unshift(["$__all", "All"]);
    }
    const first = variable.type === "custom" ? variable.current.value : options[0]?.[0] ?? "";
    const value = parameters.get(name) ?? first;
    variables.push({ name, value, allValue, several: includeAll });
    addChoice(label, name, value, options);
  }
  return variables;
}

/** drawPanel evaluates the queries of a panel and draws it. */
async function drawPanel(panel, section, variables, range) {
  const body = element("div", { class: "body" });
  section.append(body);
  try {
    const lists = await Promise.all(panel.targets.map((target) => evaluate(target, variables, range)));
    const series = lists.flat();
    const box = { width: body.clientWidth - 18, height: body.clientHeight - 8 };
    const times = { start: range.end - range.length, end: range.end };
    body.append(series.length > 0
      ? drawers[panel.type](panel, series, times, box)
      : element("div", { class: "message" }, "no data"));
    section.dataset.state = series.length > 0 ? "drawn" : "empty";
  } catch (error) {
    body.replaceChildren(element("div", { class: "message" }, error.message));
    section.dataset.state = "failed";
    console.error(`${panel.title}: ${error.stack}`);
  }
}

/** addPanel places a panel, or the title of a row, on the grid. */
function addPanel(panel) {
  const { x, y, w, h } = panel.gridPos;
  const title = panel.type === "row" ? panel.title : element("h2", { title: panel.description }, panel.title);
  const node = element("section", { class: panel.type === "row" ? "row" : "panel" }, title);
  node.style.gridArea = `${y + 1} / ${x + 1} / span ${h} / span ${w}`;
  document.getElementById("panels").append(node);
  return node;
}

/** exploring is a dashboard of one query: its present values, and their course. */
function exploring(expr) {
  const fieldConfig = { defaults: { unit: "short", color: { mode: "palette-classic-by-name" } }, overrides: [] };
  return {
    title: "Query", description: expr, time: { from: "now-1d" }, templating: { list: [] },
    panels: [
      {
        type: "bargauge", title: "Now", options: {}, fieldConfig, gridPos: { x: 0, y: 0, w: 9, h: 16 },
        targets: [{ refId: "A", expr, instant: true }],
      },
      {
        type: "timeseries", title: "Course", options: {}, fieldConfig, gridPos: { x: 9, y: 0, w: 15, h: 16 },
        targets: [{ refId: "A", expr }],
      },
    ],
  };
}

async function main() {
  const names = await fetchJSON("/dashboards/");
  const query = parameters.get("query");
  const name = query === null ? parameters.get("d") ?? "engineering" : "";
  const board = query === null ? await fetchJSON(`/dashboards/${name}.json`) : exploring(query);
  document.querySelector("#explore input").value = query ?? "";
  for (const other of names) {
    const link = element("a", { href: `?d=${other}` }, other[0].toUpperCase() + other.slice(1));
    if (other === name) {
      link.setAttribute("aria-current", "page");
    }
    document.getElementById("boards").append(link);
  }
  document.title = board.title;
  document.getElementById("title").append(board.title);
  document.getElementById("description").append(board.description);
  const from = (parameters.get("from") ?? board.time.from).replace("now-", "");
  const range = { length: duration(from), end: Math.floor(Date.now() / 1000), step: 0 };
  const variables = await addVariables(board, range);
  const spans = [...new Set(["5m", "15m", "1h", "6h", "1d", "7d", "14d", "30d", from])];
  spans.sort((a, b) => duration(a) - duration(b));
  addChoice("Last", "from", `now-${from}`, spans.map((span) => [`now-${span}`, span]));
  const work = [];
  for (const panel of board.panels) {
    const section = addPanel(panel);
    if (panel.type !== "row") {
      section.dataset.state = "loading";
      work.push(drawPanel(panel, section, variables, range));
    }
  }
  await Promise.all(work);
}

main().then(() => {
  document.body.dataset.height = document.documentElement.scrollHeight;
  document.body.dataset.state = "done";
}, (error) => {
  document.body.dataset.state = "failed";
  document.getElementById("description").append(error.message);
  console.error(error.stack);
});
