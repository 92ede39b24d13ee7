// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Panels over time: timeseries and state-timeline.
import { colorOf, format } from "./format.js";
import { element, shape } from "./element.js";

const left = 50, right = 8, top = 6, bottom = 18;

/** ticks returns round values from 0 to a largest one. */
function ticks(most) {
  const rough = most / 4;
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * size).find((candidate) => candidate >= rough);
  const list = [];
  for (let value = 0; value < most + step * 0.999; value += step) {
    list.push(value);
  }
  return list;
}

/** timeTicks returns round local times in a range. */
function timeTicks(start, end) {
  const steps = [60, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400, 172800, 604800];
  const step = steps.find((candidate) => (end - start) / candidate <= 7) ?? 604800;
  const offset = new Date(end * 1000).getTimezoneOffset() * 60;
  const list = [];
  for (let at = Math.ceil((start - offset) / step) * step + offset; at <= end; at += step) {
    list.push(at);
  }
  return list.map((at) => [at, timeText(new Date(at * 1000), step)]);
}

function timeText(date, step) {
  const two = (number) => String(number).padStart(2, "0");
  return step >= 86400
    ? `${two(date.getMonth() + 1)}/${two(date.getDate())}`
    : `${two(date.getHours())}:${two(date.getMinutes())}`;
}

/** addTime writes a time below a place, unless it would be cut off. */
function addTime(svg, x, box, label) {
  if (x < box.width - 18) {
    svg.append(shape("text", { x, y: box.height - 4, "text-anchor": "middle" }, label));
  }
}

/** grid draws the axes, and returns the functions from times and values to places. */
function grid(svg, box, range, scale, texts) {
  const x = (at) => left + ((at - range.start) / (range.end - range.start)) * (box.width - left - right);
  const y = (value) => box.height - bottom - (value / scale) * (box.height - top - bottom);
  for (const [value, label] of texts) {
    svg.append(shape("line", { x1: left, x2: box.width - right, y1: y(value), y2: y(value), stroke: "#2c3038" }),
      shape("text", { x: left - 6, y: y(value) + 3.5, "text-anchor": "end" }, label));
  }
  for (const [at, label] of timeTicks(range.start, range.end)) {
    addTime(svg, x(at), box, label);
  }
  return { x, y };
}

function legendOf(entries) {
  return element("div", { class: "legend" }, ...entries.map(([name, color]) => {
    const mark = element("i");
    mark.style.background = color;
    return element("span", {}, mark, name);
  }));
}

/** drawLines draws each series as a line with a weak area; a pause ends the line. */
function drawLines(svg, place, series, colors) {
  series.forEach((s, index) => {
    const parts = [];
    let before = -Infinity;
    for (const [at, value] of s.points) {
      if (at - before > 2.5 * s.step) {
        parts.push([]);
      }
      parts.at(-1).push([place.x(at), place.y(value)]);
      before = at;
    }
    for (const part of parts) {
      const line = part.map((point) => point.map((number) => number.toFixed(1)).join(",")).join(" ");
      const base = place.y(0).toFixed(1);
      svg.append(
        shape("polygon", {
          points: `${part[0][0].toFixed(1)},${base} ${line} ${part.at(-1)[0].toFixed(1)},${base}`,
          fill: colors[index], opacity: 0.1,
        }),
        shape("polyline", { points: line, fill: "none", stroke: colors[index], "stroke-width": 1.8 }));
      if (part.length === 1) {
        svg.append(shape("circle", { cx: part[0][0], cy: part[0][1], r: 2.5, fill: colors[index] }));
      }
    }
  });
}

/** drawColumns draws stacked columns; each covers the interval before its time. */
function drawColumns(svg, place, series, colors) {
  const height = new Map();
  series.forEach((s, index) => {
    for (const [at, value] of s.points) {
      const from = height.get(at) ?? 0;
      height.set(at, from + value);
      const x = place.x(at - s.step), width = place.x(at) - x;
      const column = shape("rect", {
        x: x + width * 0.08, width: Math.max(width * 0.84, 0.5), y: place.y(from + value),
        height: Math.max(place.y(from) - place.y(from + value), 0), fill: colors[index],
      });
      column.append(shape("title", {}, `${s.name}: ${value}`));
      svg.append(column);
    }
  });
}

/** largest returns the largest value, or the largest sum of those of one time. */
function largest(series, isStacked) {
  const sums = new Map();
  let most = 0;
  for (const { points } of series) {
    for (const [at, value] of points) {
      sums.set(at, (isStacked ? sums.get(at) ?? 0 : 0) + value);
      most = Math.max(most, sums.get(at));
    }
  }
  return most || 1;
}

/** drawSeries draws a panel of type timeseries. */
export function drawSeries(panel, series, range, box) {
  const { defaults } = panel.fieldConfig;
  const isColumns = defaults.custom?.drawStyle === "bars";
  const sorted = [...series].sort((a, b) => a.refId.localeCompare(b.refId) || a.name.localeCompare(b.name));
  const colors = sorted.map((s, index) => colorOf(panel, s.name, s.points.at(-1)[1], index));
  const values = ticks(largest(series, isColumns));
  const size = { width: box.width, height: box.height - 38 };
  const svg = shape("svg", { viewBox: `0 0 ${size.width} ${size.height}` });
  const texts = values.map((value) => [value, format(value, defaults.unit)]);
  const place = grid(svg, size, range, values.at(-1), texts);
  (isColumns ? drawColumns : drawLines)(svg, place, sorted, colors);
  return element("div", { class: "chart" }, svg, legendOf(sorted.map((s, index) => [s.name, colors[index]])));
}

/** drawStates draws a panel of type state-timeline: a row for each series, coloured by its value. */
export function drawStates(panel, series, range, box) {
  const sorted = [...series].sort((a, b) => a.name.localeCompare(b.name));
  const size = { width: box.width, height: box.height - 22 };
  const names = 205, rowHeight = (size.height - bottom) / sorted.length;
  const svg = shape("svg", { viewBox: `0 0 ${size.width} ${size.height}` });
  const x = (at) => names + ((at - range.start) / (range.end - range.start)) * (size.width - names - right);
  sorted.forEach((s, index) => {
    const y = index * rowHeight;
    svg.append(shape("text", { x: names - 8, y: y + rowHeight / 2 + 3.5, "text-anchor": "end" }, s.name));
    for (const [at, value] of s.points) {
      svg.append(shape("rect", {
        x: x(at - s.step), y: y + 2, width: x(at) - x(at - s.step) + 0.5, height: rowHeight - 4,
        fill: colorOf(panel, s.name, value, index),
      }));
    }
  });
  for (const [at, label] of timeTicks(range.start, range.end)) {
    addTime(svg, x(at), size, label);
  }
  const states = Object.values(panel.fieldConfig.defaults.mappings?.[0]?.options ?? {});
  return element("div", { class: "chart" }, svg, legendOf(states.map(({ text, color }) => [text, color])));
}
