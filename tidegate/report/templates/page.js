"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const at = (id) => document.getElementById(id);
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  // Colour is never alone: every policy has its own dash and marker too.
  const STYLES = [
    { color: "--s0", dash: "solid", width: 3, symbol: "circle", size: 8 },
    { color: "--s1", dash: "dash", width: 2, symbol: "square-open", size: 8 },
    { color: "--s2", dash: "dot", width: 2, symbol: "triangle-down", size: 8 },
    { color: "--s3", dash: "dashdot", width: 2, symbol: "diamond-open", size: 9 },
    { color: "--s4", dash: "longdash", width: 2, symbol: "x-thin", size: 8 },
  ];
  const style = (i) => STYLES[data.policies[i].style];
  const config = { displayModeBar: false, responsive: true, scrollZoom: false, doubleClick: false, showTips: false };

  function layout(more) {
    const soft = css("--soft"), narrow = innerWidth < 640;
    const axis = { gridcolor: css("--grid"), zeroline: false, fixedrange: true, tickfont: { color: soft }, automargin: false };
    const months = data.months.length, oneYear = data.days[0].slice(0, 4) === data.days[1].slice(0, 4);
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, dragmode: false, hovermode: "closest", hoverdistance: 30,
      font: { family: getComputedStyle(document.body).fontFamily, size: narrow ? 11 : 12, color: css("--ink") },
      hoverlabel: { bgcolor: css("--panel"), bordercolor: css("--soft"), font: { color: css("--ink") }, align: "left" },
      margin: { l: narrow ? 58 : 64, r: 8, t: 8, b: oneYear ? 22 : 36 },
      ...more,
      xaxis: { ...axis, type: "date", range: data.range, ticklabelmode: "period", tickformat: oneYear || (narrow && months > 8) ? "%b" : "%b\n%Y",
        ...(months <= 14 ? { dtick: "M1" } : {}), tickangle: 0, showline: true, linecolor: css("--rule") },
      yaxis: { ...axis, nticks: 6, separatethousands: true, ...(more.yaxis || {}) },
    };
  }

  // Our own promotions, drawn through every chart so that a step in a line can be told.
  function promotions() {
    return data.attempts.filter((a) => a.outcome === "promoted" && data.policies[a.lane].id === "tidegate").map((a) => ({
      type: "line", x0: a.to, x1: a.to, yref: "paper", y0: 0, y1: 1, layer: "below", line: { color: css("--s0"), width: 1, dash: "dot" },
    }));
  }

  function drawMeasure(id, key, view) {
    const m = data.measures[key];
    if (!at(id) || !m) return;
    const shown = m[view] ? view : "value";
    const order = data.policies.map((_, i) => i).reverse();
    const traces = order.map((i) => {
      const s = style(i), color = css(s.color);
      return { type: "scatter", mode: "lines+markers", name: data.policies[i].name, x: data.months, y: m[shown][i], text: m[shown + "_text"][i], hoverinfo: "text",
        line: { color, width: s.width, dash: s.dash }, marker: { color, size: s.size, symbol: s.symbol, opacity: 1, line: { color, width: 2 } } };
    });
    const zero = shown === "gain" ? { zeroline: true, zerolinecolor: css("--soft"), zerolinewidth: 1 } : {};
    Plotly.react(id, traces, layout({ shapes: promotions(), yaxis: zero }), config);
  }

  function drawEvents() {
    if (!at("chart-events")) return;
    const lanes = data.policies.length, bottom = lanes;
    const traces = [];
    data.policies.forEach((_, i) => {
      const mine = data.attempts.filter((a) => a.lane === i), color = css(style(i).color);
      const marks = (rows, symbol, size, width) => traces.push({ type: "scatter", mode: "markers", x: rows.map((r) => r[0]), y: rows.map(() => i), text: rows.map((r) => r[1]),
        hoverinfo: "text", marker: { symbol, size, color, line: { color, width } } });
      traces.push({ type: "scatter", mode: "lines", x: mine.flatMap((a) => [a.from, a.to, null]), y: mine.flatMap(() => [i, i, null]), hoverinfo: "skip", line: { color, width: 2 } });
      marks(mine.flatMap((a) => a.looks.filter((d) => d !== a.from && d !== a.to).map((d) => [d, a.text])), "line-ns-open", 12, 2);
      // What began and ended on one day has only the mark of its end.
      marks(mine.filter((a) => a.from !== a.to || a.outcome === "waiting").map((a) => [a.from, a.text]), "circle-open", 10, 2);
      marks(mine.filter((a) => a.outcome === "waiting" && a.from !== a.to).map((a) => [a.to, a.text]), "line-ns-open", 12, 2);
      marks(mine.filter((a) => a.outcome === "promoted").map((a) => [a.to, a.text]), "triangle-up", 12, 1);
      marks(mine.filter((a) => a.outcome === "rejected").map((a) => [a.to, a.text]), "circle-x-open", 11, 2);
    });
    const ink = css("--data");
    const symbols = { blocked: ["x-thin-open", 9, 2.5], injected: ["square-x-open", 12, 1.8], missed: ["square-open", 12, 1.8] };
    for (const [kind, [symbol, size, width]] of Object.entries(symbols)) {
      const rows = data.windows.filter((w) => w.kind === kind);
      traces.push({ type: "scatter", mode: "markers", x: rows.map((w) => w.at), y: rows.map(() => bottom), text: rows.map((w) => w.text), hoverinfo: "text",
        marker: { symbol, size, color: ink, line: { color: ink, width } } });
    }
    at("chart-events").style.height = `${50 + 28 * (lanes + 1)}px`;
    const names = data.policies.map((p) => p.name).concat("Data");
    Plotly.react("chart-events", traces, layout({ shapes: promotions(),
      yaxis: { tickmode: "array", tickvals: names.map((_, i) => i), ticktext: names, range: [lanes + 0.6, -0.6], nticks: 0 } }), config);
  }

  function draw() {
    const view = at("view") ? at("view").value : "value";
    const key = at("metric") ? at("metric").value : Object.keys(data.measures).find((k) => k !== "kpi");
    const note = (m) => (view === "gain" ? "gain over never, by month; above zero is better" : `by month; ${m.better}`);
    const m = data.measures[key], kpi = data.measures.kpi;
    if (m && at("metric-name")) {
      at("metric-name").textContent = m.name;
      at("metric-note").textContent = note(m);
      at("chart-metric").setAttribute("aria-label", m.alt);
    }
    if (kpi && at("kpi-note")) at("kpi-note").textContent = [kpi.unit, note(kpi)].filter(Boolean).join(", ");
    drawMeasure("chart-metric", key, view);
    drawMeasure("chart-kpi", "kpi", view);
    drawEvents();
    document.documentElement.dataset.drawn = "yes";
  }

  for (const id of ["metric", "view"]) if (at(id)) at(id).addEventListener("change", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  matchMedia("(max-width: 639px)").addEventListener("change", draw);
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((d) => { d.open = true; }));
  draw();
})();
