"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const at = (id) => document.getElementById(id);
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  // Colour is never alone: every rule has its own dash and marker too.
  const STYLES = [
    { color: "--s0", dash: "solid", width: 3, symbol: "circle" },
    { color: "--s1", dash: "dash", width: 2, symbol: "square-open" },
    { color: "--s2", dash: "dot", width: 2, symbol: "triangle-down" },
    { color: "--s3", dash: "dashdot", width: 2, symbol: "diamond-open" },
  ];
  const config = { displayModeBar: false, responsive: true, scrollZoom: false, doubleClick: false, showTips: false };
  const style = (i) => ({ ...STYLES[i % STYLES.length], color: css(STYLES[i % STYLES.length].color) });
  const narrow = () => innerWidth < 640;

  function layout(x, y, more) {
    const soft = css("--soft");
    const axis = (title) => ({ gridcolor: css("--grid"), zeroline: false, fixedrange: true, tickfont: { color: soft }, showline: true, linecolor: css("--rule"), automargin: true, rangemode: "tozero",
      title: { text: title, font: { size: 12, color: soft }, standoff: 6 } });
    return { paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, dragmode: false, hovermode: "closest",
      font: { family: getComputedStyle(document.body).fontFamily, size: narrow() ? 11 : 12, color: css("--ink") },
      hoverlabel: { bgcolor: css("--panel"), bordercolor: css("--soft"), font: { color: css("--ink") }, align: "left" },
      margin: { l: 44, r: 14, t: 8, b: 44 }, xaxis: { ...axis(x), ...(more.xaxis || {}) }, yaxis: { ...axis(y), ...(more.yaxis || {}) } };
  }

  function dots(id, chart, title, range) {
    const box = at(id);
    if (!box || !chart.kinds.length) return;
    box.style.height = `${60 + chart.kinds.length * 14 * Math.max(chart.traces.length - 1, 2)}px`;
    const n = chart.traces.length;
    const traces = chart.traces.map((t, i) => {
      const s = style(i), reach = (end, sign) => t.x.map((x, k) => (x === null || t[end][k] === null ? 0 : Math.max(0, sign * (t[end][k] - x))));
      return { type: "scatter", mode: "markers", x: t.x, y: t.x.map((_, k) => k + (i - (n - 1) / 2) * 0.18), text: t.text.map((w) => `<b>${data.rules[i]}</b><br>${w}`), hoverinfo: "text",
        marker: { color: s.color, size: 9, symbol: s.symbol, line: { color: s.color, width: 2 } },
        error_x: { type: "data", symmetric: false, array: reach("high", 1), arrayminus: reach("low", -1), color: s.color, thickness: 1.3, width: 3 } };
    });
    Plotly.react(box, traces, layout(title, "", { xaxis: range ? { range } : {},
      yaxis: { tickmode: "array", tickvals: chart.kinds.map((_, k) => k), ticktext: chart.kinds, range: [chart.kinds.length - 0.5, -0.5], rangemode: "normal" } }), config);
  }

  function draw() {
    dots("chart-power", data.power, "power", [-0.02, 1.02]);
    dots("chart-delay", data.delay, "nights", null);
    dots("chart-unwanted", data.unwanted, "share that pages", [-0.02, 1.02]);
    if (at("chart-sweep")) {
      const traces = data.sweep.map((points, i) => {
        const s = style(i);
        return { type: "scatter", mode: "lines+markers", x: points.map((p) => p[0]), y: points.map((p) => p[1]), text: points.map((p) => `<b>${data.rules[i]}</b><br>power ${p[1]} at ${p[0]} false pages`), hoverinfo: "text",
          line: { color: s.color, width: s.width, dash: s.dash }, marker: { color: s.color, size: 8, symbol: s.symbol, line: { color: s.color, width: 2 } } };
      });
      Plotly.react("chart-sweep", traces, layout("false pages in 30 nights", "power", { xaxis: { type: "log", rangemode: "normal", tickvals: [0.1, 0.2, 0.5, 1, 2, 4] }, yaxis: { range: [0, 1.02] } }), config);
    }
    if (at("chart-policies")) {
      at("chart-policies").style.height = `${70 + 30 * data.policies.names.length}px`;
      const fill = data.policies.names.map((n) => css(n === "tidegate" ? "--s0" : "--s2"));
      Plotly.react("chart-policies", [{ type: "bar", orientation: "h", y: data.policies.names, x: data.policies.cost, hoverinfo: "x+y", marker: { color: fill, line: { color: css("--ink"), width: 1 } } }],
        layout("cost", "", { yaxis: { autorange: "reversed", rangemode: "normal" } }), config);
    }
    document.documentElement.dataset.drawn = "yes";
  }

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  matchMedia("(max-width: 639px)").addEventListener("change", draw);
  draw();
})();
