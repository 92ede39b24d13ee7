// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Panels of present values: stat and bargauge.
import { colorOf, format } from "./format.js";
import { element, shape } from "./element.js";

function text(panel, value) {
  const { unit, decimals } = panel.fieldConfig.defaults;
  return format(value, unit, decimals);
}

/** sparkline draws the course of a value. */
function sparkline(points, color) {
  const values = points.map(([, value]) => value);
  const low = Math.min(...values), span = Math.max(...values) - low || 1;
  const first = points[0][0], length = points.at(-1)[0] - first || 1;
  const line = points.map(([at, value]) => `${(100 * (at - first)) / length},${38 - (34 * (value - low)) / span}`);
  return shape("svg", { viewBox: "0 0 100 40", preserveAspectRatio: "none" },
    shape("polygon", { points: `0,40 ${line.join(" ")} 100,40`, fill: color, opacity: 0.18 }),
    shape("polyline", {
      points: line.join(" "), fill: "none", stroke: color, "stroke-width": 1.2, "vector-effect": "non-scaling-stroke",
    }));
}

/** drawStat draws the newest value of each series. */
export function drawStat(panel, series) {
  return element("div", { class: "stats" }, ...series.map((s, index) => {
    const value = s.points.at(-1)[1];
    const color = colorOf(panel, s.name, value, index);
    const number = element("b", {}, text(panel, value));
    number.style.color = color;
    const stat = element("div", { class: "stat" }, number);
    if (series.length > 1) {
      stat.append(element("span", {}, s.name));
    }
    if (panel.options.graphMode === "area" && s.points.length > 1) {
      stat.prepend(sparkline(s.points, color));
    }
    return stat;
  }));
}

/** drawBars draws a horizontal bar for each series. */
export function drawBars(panel, series) {
  const value = (s) => s.points.at(-1)[1];
  const sorted = [...series].sort((a, b) => value(b) - value(a));
  const most = Math.max(...sorted.map(value), 0) || 1;
  const names = panel.options.namePlacement === "top" ? "bars above" : "bars";
  return element("div", { class: names }, ...sorted.map((s, index) => {
    const bar = element("u");
    bar.style.width = `${(100 * Math.max(value(s), 0)) / most}%`;
    bar.style.background = colorOf(panel, s.name, value(s), index);
    return element("div", { class: "bar", title: s.name },
      element("span", {}, s.name), element("i", {}, bar), element("b", {}, text(panel, value(s))));
  }));
}
