// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Queries to Prometheus, with the variables of a dashboard in place of their names.

const seconds = { s: 1, m: 60, h: 3600, d: 86400, w: 604800 };

/** duration returns the seconds of a duration such as 7d. */
export function duration(text) {
  return Number(text.slice(0, -1)) * seconds[text.slice(-1)];
}

/** escape makes a value of a label part of a regular expression in a string of PromQL. */
function escape(value) {
  return value.replace(/[\\^$*+?.()|[\]{}]/g, "\\\\$&");
}

/** substitute replaces variables as Grafana does for Prometheus. */
export function substitute(text, variables, time) {
  const values = {
    __range_s: String(time.length), __range: `${time.length}s`,
    __rate_interval: `${Math.max(time.step + 15, 60)}s`, __interval: `${time.step}s`,
  };
  for (const { name, value, allValue, several } of variables) {
    values[name] = value === "$__all" ? allValue : several ? escape(value) : value;
  }
  return text.replace(/\$\{?(\w+)\}?/g, (found, name) => values[name] ?? found);
}

async function get(path, parameters) {
  const response = await fetch(`/api/v1/${path}?${new URLSearchParams(parameters)}`);
  const answer = await response.json();
  if (answer.status !== "success") {
    throw new Error(answer.error ?? response.statusText);
  }
  return answer.data;
}

/** labelValues returns the values of a query such as label_values(metric{...}, label). */
export async function labelValues(query, time) {
  const [, selector, label] = /^label_values\((.*), (\w+)\)$/.exec(query);
  const list = await get(`label/${label}/values`, {
    "match[]": selector, start: time.end - time.length, end: time.end,
  });
  return list.sort();
}

/** legend names a series. */
function legend(target, labels) {
  if (target.legendFormat) {
    return target.legendFormat.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, label) => labels[label] ?? "");
  }
  return Object.entries(labels).filter(([name]) => name !== "__name__").map(([, value]) => value).join(" ");
}

/** evaluate returns the series of a target: labels, name, and points of a time and a value. */
export async function evaluate(target, variables, range) {
  const shortest = range.length < 3600 ? "5s" : "15s";
  const interval = substitute(target.interval ?? shortest, variables, { ...range, step: 0 });
  const step = Math.max(Math.ceil(range.length / 400), duration(interval));
  const time = { ...range, step };
  const query = substitute(target.expr, variables, time);
  // A column is about the time before it: the first one ends a step after the start.
  const steps = Math.floor(time.length / step) - (target.interval ? 1 : 0);
  const data = target.instant
    ? await get("query", { query, time: time.end })
    : await get("query_range", { query, start: time.end - steps * step, end: time.end, step });
  return data.result.map(({ metric, value, values }) => ({
    refId: target.refId, labels: metric, name: legend(target, metric), step,
    points: (values ?? [value]).map(([at, text]) => [at, Number(text)]),
  }));
}
